"""Shapes whose calls are literals in the manner of a programming language: P (Python) and G (Gemma)."""

from oxillama.chat.formats.literal.gemma import Gemma
from oxillama.chat.formats.literal.pythonic import Pythonic

__all__ = ["Gemma", "Pythonic"]
