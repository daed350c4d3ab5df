"""oxillama: GGUF language models on ordinary CPUs, behind the whole OpenAI API."""

from oxillama._version import __version__

__all__ = ["__version__"]
