"""Grammars that generations must follow, on llguidance."""
