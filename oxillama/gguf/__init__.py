"""GGUF files as Python sees them: GGUFFile reads, GGUFWriter writes."""

from oxillama.gguf.reader import GGUFFile
from oxillama.gguf.writer import GGUFWriter

__all__ = ["GGUFFile", "GGUFWriter"]
