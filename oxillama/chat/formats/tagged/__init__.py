"""Shapes whose calls are tags with bare values: XE, XA, KV, K3 and XT."""

from oxillama.chat.formats.tagged.layout import NO_TAGS
from oxillama.chat.formats.tagged.nested import Nested
from oxillama.chat.formats.tagged.shape import Tagged

__all__ = ["NO_TAGS", "Nested", "Tagged"]
