"""Makes a model's text safe for a terminal: it may contain escape sequences, which the terminal would obey."""

from __future__ import annotations

_KEPT = "\n\t"

# C0 controls and DEL have control pictures (U+2400 …). C1 controls have none; some terminals read them as escape
# sequences. A carriage return is dropped: it is redundant before a newline, and elsewhere it would overwrite the line.
_PICTURES: dict[int, int | None] = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in _KEPT},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    0x0D: None,
}


def visible(text: str) -> str:
    """`text` with all control characters replaced except newlines and tabs. Works on any piece of a text."""
    return text.translate(_PICTURES)
