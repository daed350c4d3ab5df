"""Families of models: one row of data each."""
