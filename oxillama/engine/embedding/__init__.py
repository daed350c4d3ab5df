"""Vectors of texts: requests under way, and the packing of their texts into steps."""
