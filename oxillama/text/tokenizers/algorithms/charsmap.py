"""Checks `precompiled_charsmap`, SentencePiece's normalisation table. The library reads it without bounds checks.

Layout: the size in bytes of a double-array trie (uint32, little-endian), the trie's units (uint32 each), then the
replacement texts, each ended by a NUL. Bits of a unit: 0-7 the label, 8 "has a value", 9 "the offset is shifted left by
eight", 10 and up the offset. A value's unit has bit 31 set; the other bits are the position of its text.
"""

from __future__ import annotations

import numpy as np

from oxillama.errors import ModelFormatError


def check_charsmap(charsmap: bytes) -> None:
    """Raise ModelFormatError unless every walk through the table stays inside it."""
    problem = _problem(charsmap)
    if problem:
        raise ModelFormatError(f"tokenizer.ggml.precompiled_charsmap is damaged: {problem}.")


def _problem(charsmap: bytes) -> str | None:
    size = int.from_bytes(charsmap[:4], "little")
    if len(charsmap) < 4 or size % 4 or size > len(charsmap) - 4:
        return "its table runs past its end"
    if size == 0:
        return "its table is empty"
    texts = charsmap[4 + size :]
    try:
        texts.decode()
    except UnicodeDecodeError:
        return "its texts are not UTF-8"
    units = np.frombuffer(charsmap, "<u4", size // 4, 4).astype(np.int64)
    n = len(units)
    is_node = units < 1 << 31
    offset = (units >> 10) << ((units & (1 << 9)) >> 6)
    child = np.arange(n) ^ offset
    # Any byte may follow a node.
    if bool(np.any(is_node & ((child | 0xFF) >= n))):
        return "its table leads out of itself"
    leaf = child[is_node & (units & (1 << 8) != 0)]
    places = units[leaf] & 0x7FFFFFFF
    if bool(np.any(places >= len(texts))) or (len(places) and not texts.endswith(b"\0")):
        return "a text lies outside it"
    starts = np.frombuffer(texts, np.uint8)[places]
    if bool(np.any(starts & 0xC0 == 0x80)):
        return "a text begins within a character"
    return None
