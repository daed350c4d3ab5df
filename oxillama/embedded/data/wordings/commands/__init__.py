"""Wordings of questions on the commands."""
