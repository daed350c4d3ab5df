"""A model's text on a terminal: it may hold anything, and a terminal obeys escape sequences."""

from __future__ import annotations

_KEPT = "\n\t"

# C0 controls have pictures of their own (U+2400 …); DEL has one too. C1 controls, which some terminals take for escape
# sequences, have none. A carriage return is dropped: before a newline nobody misses it, elsewhere it would overwrite.
_PICTURES: dict[int, int | None] = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in _KEPT},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    0x0D: None,
}


def visible(text: str) -> str:
    """`text` with nothing in it that a terminal would obey, but for newlines and tabs. Works piece by piece."""
    return text.translate(_PICTURES)
