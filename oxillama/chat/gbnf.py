"""GBNF, as llama.cpp takes it, in llguidance's variant of Lark's syntax."""

from __future__ import annotations

import re

from oxillama.errors import InvalidParameterError

_TOKEN = re.compile(
    r'(?P<atom>"(?:\\.|[^"\\])*"i?|/(?:\\.|[^/\\])+/[a-z]*|[\w<>|\[\].-]+)|(?P<open>\()|(?P<close>\))'
    r"|(?P<times>[*+?]|\{\d*,?\d*\})|(?P<comment>//[^\n]*)|(?P<other>.|\n)"
)


def lark_of(text: str) -> str:
    """The grammar. Raises InvalidParameterError for a text that is not GBNF."""
    from llguidance.gbnf_to_lark import any_to_lark

    try:
        return _regrouped(any_to_lark(text))
    except Exception as error:  # of a parser that raises what it likes
        reason = " ".join(str(error).split())[:200]
        raise InvalidParameterError(f"Invalid 'grammar': it is not GBNF: {reason}.", param="grammar") from None


def _regrouped(lark: str) -> str:
    """The grammar with brackets around what is repeated twice. The converter leaves them out of `("ab"{2}){3}`."""
    parts: list[str] = []
    opened: list[int] = []  # where groups begin that are not closed
    start, repeated = 0, False  # of the last atom or group
    for found in _TOKEN.finditer(lark):
        kind = found.lastgroup
        if kind == "times" and repeated:
            parts.insert(start, "(")
            parts.append(")")
        elif kind == "atom":
            start = len(parts)
        elif kind == "open":
            opened.append(len(parts))
        elif kind == "close" and opened:
            start = opened.pop()
        repeated = kind == "times"
        parts.append(found[0])
    return "".join(parts)
