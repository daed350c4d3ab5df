"""Checks of `precompiled_charsmap`, SentencePiece's table of normalisations, before the library walks it unguarded.

The layout: the size in bytes of a double array (uint32, little-endian), the array's units (uint32), then replacement
texts that each end with a NUL. A unit has its label in bits 0-7, "has a value" in bit 8, a shift of its offset by eight
in bit 9 and the offset from bit 10 on; the unit of a value has bit 31 set and the place of its text below.
"""

from __future__ import annotations

import numpy as np

from oxillama.errors import ModelFormatError


def check_charsmap(charsmap: bytes) -> None:
    """Raises ModelFormatError unless every walk through the table stays inside it."""
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
    # From a node any byte may follow.
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
