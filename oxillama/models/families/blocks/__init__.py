"""Decoders whose blocks differ only in which parts they have: each architecture is a row of data."""
