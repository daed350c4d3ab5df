"""GGUF files in Python: GGUFFile reads them, GGUFWriter writes them."""

from oxillama.gguf.reader import GGUFFile
from oxillama.gguf.writer import GGUFWriter

__all__ = ["GGUFFile", "GGUFWriter"]
