"""One script for each library that speaks the OpenAI API: an agent with two tools, and an answer of a given form.

Each is run with the library's own interpreter, as `python SCRIPT URL`, and prints `ok NAME` for each check.
"""
