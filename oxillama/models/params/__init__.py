"""Hyper-parameters of a file, read and checked."""
