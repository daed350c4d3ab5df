"""Declarations of the C core for Cython."""
