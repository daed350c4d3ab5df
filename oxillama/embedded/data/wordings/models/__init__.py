"""Wordings of questions on models, their files and their speed."""
