"""GGUF files as Python sees them: GGUFFile reads, GGUFWriter writes."""

from oxillama.gguf.reader import GGUFFile

__all__ = ["GGUFFile"]
