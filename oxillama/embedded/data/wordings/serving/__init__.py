"""Wordings of questions on running the server."""
