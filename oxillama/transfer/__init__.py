"""Assistants, threads, files and vector stores into a data directory and out of it, as lines of JSON.

A line is an object as the API answers it, or a page of a list as the API answers it. A file's bytes follow the file as
`{"object": "file.content", "file_id", "data"}` lines of base64 text, which the API does not have.
"""
