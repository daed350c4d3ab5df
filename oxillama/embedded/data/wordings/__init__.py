"""Wordings of questions, per fact: how people ask for what the demonstration model knows."""
