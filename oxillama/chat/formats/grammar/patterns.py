"""Regular expressions of JSON schemas (ECMA-262) in the dialect of grammars.

Grammars match whole texts and know no anchors, no assertions and no references to groups. An expression that needs one
of these has no translation. Where validators disagree on what a class contains, the grammar takes what all take.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"\\u\{([0-9a-fA-F]{1,6})\}|\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|\\(.)|(\(\?(?::|<?[=!]|P?<\w+>)?)|(.)",
    re.DOTALL,
)
_CLASSES = {
    "d": "0-9", "w": "A-Za-z0-9_",
    "s": r"\t\n\x0b\x0c\r ",
}  # fmt: skip
_NEGATED = {"D": r"\D", "W": r"\W", "S": r"[^\s\x1c-\x1f\x85\x{feff}]"}
_CONTROLS = {"n": r"\n", "t": r"\t", "r": r"\r", "f": r"\x0c", "v": r"\x0b", "0": r"\x00"}
_PUNCTUATION = frozenset(r"""^$\.*+?()[]{}|/-"'`~!@#%&=:;<>, """)
_LONGEST = 4096


def translated(pattern: str) -> str | None:
    """The body of an expression that matches all texts in which the pattern is found; None: there is none."""
    if len(pattern) > _LONGEST:
        return None
    tokens = [_Token(found) for found in _TOKEN.finditer(pattern)]
    first, last = _anchors(tokens)
    if first is None or last is None:
        return None
    body = _body(tokens[first : len(tokens) - last])
    if body is None:
        return None
    return f"{'' if first else _ANY}(?:{body}){'' if last else _ANY}"


_ANY = r"(?:.|\n)*"


class _Token:
    """One piece of a pattern: a code point, an escape, a group's opening, or a character."""

    def __init__(self, found: re.Match[str]) -> None:
        code = found[1] or found[2] or found[3]
        self.code = int(code, 16) if code else None
        self.escape: str | None = found[4]
        self.group: str | None = found[5]
        self.char: str | None = found[6]


def _anchors(tokens: list[_Token]) -> tuple[int | None, int | None]:
    """How many anchors are at the beginning and the end; None: alternatives would have their own."""
    first = int(bool(tokens) and tokens[0].char == "^")
    last = int(len(tokens) > first and tokens[-1].char == "$")
    depth = 0
    inside = False
    for token in tokens:
        if inside:
            inside = token.char != "]"
        elif token.char == "[":
            inside = True
        elif token.char == "(" or token.group:
            depth += 1
        elif token.char == ")":
            depth -= 1
        elif token.char == "|" and not depth and (first or last):
            return None, None
    return first, last


def _body(tokens: list[_Token]) -> str | None:
    parts: list[str] = []
    inside = False
    depth = 0
    for at, token in enumerate(tokens):
        depth += (token.group is not None or token.char == "(") - (token.char == ")") if not inside else 0
        if depth < 0:
            return None
        if token.code is not None:
            if token.code > 0x10FFFF or 0xD800 <= token.code < 0xE000:
                return None
            parts.append(f"\\x{{{token.code:x}}}")
        elif token.escape is not None:
            piece = _escape(token.escape, inside)
            if piece is None:
                return None
            parts.append(piece)
        elif token.group is not None:
            if token.group not in ("(?:",) and not token.group.endswith(">"):
                return None
            parts.append("(?:")
        else:
            char = token.char or ""
            if inside:
                inside = char != "]"
                negated = char == "^" and tokens[at - 1].char == "["
                parts.append(char if char in "]-" or negated or char not in _PUNCTUATION else f"\\{char}")
            elif char in "^$":
                return None
            elif char == "[":
                inside = True
                parts.append(char)
            elif char == "(":
                parts.append("(?:")
            else:
                parts.append({"/": r"\/", "\n": r"\n", ".": r"[^\n\r\x{2028}\x{2029}]"}.get(char, char))
    return None if inside or depth else "".join(parts)


def _escape(char: str, inside: bool) -> str | None:
    if char in _CLASSES:
        return _CLASSES[char] if inside else f"[{_CLASSES[char]}]"
    if char in _NEGATED and not inside:
        return _NEGATED[char]
    if char in _CONTROLS:
        return _CONTROLS[char]
    if char in _PUNCTUATION:
        return char if char in "\"'`!@%=:;<>, " else f"\\{char}"
    return None
