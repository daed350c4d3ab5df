"""Transformers that read a whole text at once and give vectors or scores of it."""
