"""Wordings of questions on requests, their errors and what the server stores."""
