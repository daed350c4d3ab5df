"""Regular expressions of schemas (ECMA-262) as regular expressions over strings, or over JSON's spelling of them.

A schema's pattern says where something is found in a string. A grammar needs the whole spelling, in which `"`, `\\` and
control characters are escaped. So a pattern is parsed, its characters are spelled out, and its anchors decide whether
anything may stand around it. Lookarounds, references to groups and word boundaries have no such expression.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

LAST = 0x10FFFF
_ESCAPED = {0x22: r"\\" + '"', 0x5C: r"\\\\", 8: r"\\b", 12: r"\\f", 10: r"\\n", 13: r"\\r", 9: r"\\t"}
CHAR = r'(?:[^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00(?:0[0-7bBeEfF]|1[0-9a-fA-F]))'
"""One character of a JSON string: JSON has one spelling for each, except for the letters of a hexadecimal number."""

_DIGITS = ((0x30, 0x39),)
_WORD = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE = ((9, 13), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
          (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF))  # fmt: skip
_NO_LINE_END = ((0, 9), (11, 12), (14, 0x2027), (0x202A, LAST))
_CLASSES = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_CONTROLS = {"n": 10, "t": 9, "r": 13, "f": 12, "v": 11, "0": 0}
_COUNT = re.compile(r"\{(\d{1,6})(,?)(\d{0,6})\}")
_MOST_REPEATED = 100_000
_MOST_DISTRIBUTED = 20
_COST_OF_A_WAY = 64
LONGEST = 4096
LONGEST_EXPRESSION = 1 << 17
"""Characters. That of `\\p{L}` has 10,000."""

Ranges = Sequence[tuple[int, int]]


class PatternError(ValueError):
    """A pattern that has no expression; the text says why."""


def spelled(ranges: Ranges) -> str:
    """An expression for the spelling of one character of a set."""
    plain, parts = [], []
    for low, high in ranges:
        for cut_low, cut_high in _without_escaped(low, high):
            plain.append(_hex(cut_low) + (f"-{_hex(cut_high)}" if cut_high > cut_low else ""))
        for code in [c for c in (*range(0x20), 0x22, 0x5C) if low <= c <= high]:
            parts.append(_ESCAPED.get(code) or rf"\\u{_digits(code)}")
    if plain:
        parts.insert(0, f"[{''.join(plain)}]")
    if not parts:
        raise PatternError("matches nothing")
    return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"


def _without_escaped(low: int, high: int) -> Ranges:
    cuts = [(max(low, a), min(high, b)) for a, b in ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0xD7FF), (0xE000, LAST))]
    return [(a, b) for a, b in cuts if a <= b]


def _hex(code: int) -> str:
    return f"\\x{{{code:x}}}"


def _digits(code: int) -> str:
    return "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in f"{code:04x}")


def spelled_text(text: str) -> str:
    """An expression for a whole text, as it is spelled within the quotes."""
    return "".join(c if c.isascii() and (c.isalnum() or c in " _") else spelled(((ord(c), ord(c)),)) for c in text)


def complement(ranges: Ranges) -> Ranges:
    found, at = [], 0
    for low, high in sorted(ranges):
        if low > at:
            found.append((at, low - 1))
        at = max(at, high + 1)
    return [*found, (at, LAST)] if at <= LAST else found


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How strings are written: the expressions for any character, and for one of a set."""

    any: str
    one_of: Callable[[Ranges], str]


def _plain(ranges: Ranges) -> str:
    cuts = [(max(low, a), min(high, b)) for low, high in ranges for a, b in ((0, 0xD7FF), (0xE000, LAST))]
    inside = "".join(_hex(a) + (f"-{_hex(b)}" if b > a else "") for a, b in cuts if a <= b)
    if not inside:
        raise PatternError("matches nothing")
    return f"[{inside}]"


_JSON = _Spelling(CHAR, spelled)
_TEXT = _Spelling(r"(?:.|\n)", _plain)


@lru_cache(1024)
def quoted_pattern(pattern: str) -> str:
    """An expression for the spellings, without quotes, of all strings in which a pattern is found.

    Raises PatternError.
    """
    return _translated(pattern, _JSON)


@lru_cache(1024)
def plain_pattern(pattern: str) -> str:
    """An expression for all strings in which a pattern is found. Raises PatternError."""
    return _translated(pattern, _TEXT)


def _translated(pattern: str, spelling: _Spelling) -> str:
    if len(pattern) > LONGEST:
        raise PatternError(f"is longer than {LONGEST} characters")
    parser = _Parser(pattern, spelling)
    tree = parser.alternatives()
    if parser.at < len(pattern):
        raise PatternError("has a ) too many")
    anchoring = _Anchoring(f"{spelling.any}*")
    return _join(anchoring.expression(branch) for branch in tree)


# A tree is a list of branches; a branch is a list of pieces: an expression, an anchor, or a group with its quantifier.


class _Anchor:
    def __init__(self, start: bool) -> None:
        self.start = start


class _Group:
    def __init__(self, tree: list[list[_Piece]], count: str) -> None:
        self.tree = tree
        self.count = count


_Piece = str | _Anchor | _Group


def _has_anchor(tree: list[list[_Piece]]) -> bool:
    return any(
        isinstance(piece, _Anchor) or (isinstance(piece, _Group) and _has_anchor(piece.tree))
        for branch in tree
        for piece in branch
    )


def _join(parts: Iterable[str]) -> str:
    known = list(dict.fromkeys(parts))
    if not known:
        raise PatternError("matches nothing")
    return known[0] if len(known) == 1 else f"(?:{'|'.join(known)})"


class _Anchoring:
    """Writes the expressions of branches, with `around` where no anchor stands at the beginning or the end."""

    def __init__(self, around: str) -> None:
        self._around = around
        self._left = LONGEST_EXPRESSION

    def expression(self, branch: list[_Piece], depth: int = 0) -> str:
        """The expression of a branch. depth: how many groups were distributed for it."""
        self._spend(_COST_OF_A_WAY)
        for at, piece in enumerate(branch):  # an alternative with its own anchors: distribute it
            if isinstance(piece, _Group) and _has_anchor(piece.tree):
                if piece.count:
                    raise PatternError("repeats an anchor")
                if depth > _MOST_DISTRIBUTED:
                    raise PatternError("has anchors in too many groups")
                before, after = branch[:at], branch[at + 1 :]
                return _join(self.expression([*before, *inner, *after], depth + 1) for inner in piece.tree)
        pieces = list(branch)
        starts = ends = False
        while pieces and isinstance(pieces[0], _Anchor) and pieces[0].start:
            starts, pieces = True, pieces[1:]
        while pieces and isinstance(pieces[-1], _Anchor) and not pieces[-1].start:
            ends, pieces = True, pieces[:-1]
        if any(isinstance(piece, _Anchor) for piece in pieces):
            raise PatternError("has an anchor in its middle")
        body = "".join(_expression(piece) for piece in pieces)
        self._spend(len(body))
        return f"{'' if starts else self._around}{body}{'' if ends else self._around}"

    def _spend(self, size: int) -> None:
        """Groups with anchors double the ways, and each way is written out."""
        self._left -= size
        if self._left < 0:
            raise PatternError("needs an expression that is too long")


def _expression(piece: _Piece) -> str:
    if isinstance(piece, _Group):
        return f"(?:{'|'.join(''.join(map(_expression, branch)) for branch in piece.tree)}){piece.count}"
    assert isinstance(piece, str)
    return piece


def _single(ranges: Ranges) -> bool:
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]


_PROPERTY = re.compile(r"\{(?:gc=|General_Category=)?(\w+)\}")
_CATEGORIES = {
    "letter": "L", "lowercase_letter": "Ll", "uppercase_letter": "Lu", "mark": "M", "number": "N", "digit": "Nd",
    "decimal_number": "Nd", "punctuation": "P", "punct": "P", "symbol": "S", "separator": "Z",
}  # fmt: skip
_SHORT = frozenset(
    (
        "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe",
        "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "C", "Cc", "Cf", "Co", "Cn",
    )
)  # fmt: skip


def category(name: str) -> Ranges:
    """The characters of a general category of Unicode, by its short or its long name."""
    short = _CATEGORIES.get(name.lower(), name)
    if short not in _SHORT:
        raise PatternError(f"has \\p{{{name[:30]}}}, which is not known here")
    return _members(short)


@cache
def _members(short: str) -> Ranges:
    """The characters of a category. Finding them takes 0.2 s."""
    codes = [c for c in range(LAST + 1) if unicodedata.category(chr(c)).startswith(short) and not 0xD800 <= c < 0xE000]
    found: list[tuple[int, int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return tuple(found)


class _Parser:
    """A recursive descent through a pattern."""

    def __init__(self, text: str, spelling: _Spelling) -> None:
        self._one_of = spelling.one_of
        self._left = LONGEST_EXPRESSION
        self.text = text
        self.at = 0
        self._depth = 0

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _take(self, expected: str) -> bool:
        if self.text.startswith(expected, self.at):
            self.at += len(expected)
            return True
        return False

    def _spelled(self, ranges: Ranges) -> str:
        found = self._one_of(ranges)
        self._left -= len(found)
        if self._left < 0:
            raise PatternError("needs an expression that is too long")
        return found

    def alternatives(self) -> list[list[_Piece]]:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        return branches

    def _sequence(self) -> list[_Piece]:
        pieces: list[_Piece] = []
        while (char := self._peek()) and char not in "|)":
            pieces.append(self._quantified(self._atom()))
        return pieces

    def _atom(self) -> _Piece:
        char = self._peek()
        self.at += 1
        if char == "^" or char == "$":
            return _Anchor(char == "^")
        if char == ".":
            return self._spelled(_NO_LINE_END)
        if char == "(":
            return self._group()
        if char == "[":
            return self._spelled(self._class())
        if char == "\\":
            return self._spelled(self._escape(inside=False))
        if char in "*+?":
            raise PatternError(f"has a {char} with nothing before it")
        return self._spelled(((ord(char), ord(char)),))

    def _group(self) -> _Piece:
        self._depth += 1
        if self._depth > 100:
            raise PatternError("is nested too deeply")
        if self._take("?"):
            named = re.compile(r"P?<([A-Za-z_$][\w$]*)>").match(self.text, self.at)
            if named is not None:
                self.at = named.end()
            elif not self._take(":"):
                raise PatternError("has a lookaround or a flag")
        tree = self.alternatives()
        if not self._take(")"):
            raise PatternError("has a ( without )")
        self._depth -= 1
        return _Group(tree, "")

    def _quantified(self, piece: _Piece) -> _Piece:
        count = ""
        if self._take("*"):
            count = "*"
        elif self._take("+"):
            count = "+"
        elif self._take("?"):
            count = "?"
        elif (found := _COUNT.match(self.text, self.at)) is not None:
            self.at = found.end()
            low, high = int(found[1]), int(found[3]) if found[3] else None
            if not found[2]:
                high = low
            if max(low, high or 0) > _MOST_REPEATED or (high is not None and high < low):
                raise PatternError("repeats too much")
            count = f"{{{low},{'' if high is None else high}}}"
        if not count:
            return piece
        self._take("?")  # lazy: the same language
        if isinstance(piece, _Anchor):
            raise PatternError("repeats an anchor")
        if isinstance(piece, _Group) and not piece.count:
            return _Group(piece.tree, count)
        return _Group([[piece]], count)

    def _class(self) -> Ranges:
        negated = self._take("^")
        found: list[tuple[int, int]] = []
        while True:
            char = self._peek()
            if not char:
                raise PatternError("has a [ without ]")
            self.at += 1
            if char == "]":
                break
            one = self._escape(inside=True) if char == "\\" else ((ord(char), ord(char)),)
            found += self._range(one)
        merged = complement(complement(found))
        return complement(merged) if negated else merged

    def _range(self, one: Ranges) -> Ranges:
        """A class's next member: one character or a known class, or a range that begins with it."""
        if not _single(one) or self._peek() != "-" or self.text[self.at + 1 : self.at + 2] in ("]", ""):
            return one
        char = self.text[self.at + 1]
        self.at += 2
        end = self._escape(inside=True) if char == "\\" else ((ord(char), ord(char)),)
        if not _single(end):
            return (*one, (0x2D, 0x2D), *end)
        if end[0][0] < one[0][0]:
            raise PatternError("has a range that is out of order")
        return ((one[0][0], end[0][0]),)

    def _escape(self, *, inside: bool) -> Ranges:
        char = self._peek()
        self.at += 1
        if char.lower() in _CLASSES and char:
            ranges: Ranges = _CLASSES[char.lower()]
            return ranges if char.islower() else complement(ranges)
        if char in ("p", "P") and (named := _PROPERTY.match(self.text, self.at)) is not None:
            self.at = named.end()
            ranges = category(named[1])
            return ranges if char == "p" else complement(ranges)
        if char in _CONTROLS:
            code = _CONTROLS[char]
        elif char == "b" and inside:
            code = 8
        elif (
            found := re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|c([A-Za-z])").match(
                self.text, self.at - 1
            )
        ) is not None:
            self.at = found.end()
            code = ord(found[4]) % 32 if found[4] else int(found[1] or found[2] or found[3], 16)
        elif not char or char.isalnum():
            raise PatternError(f"has \\{char}, which a grammar cannot express")
        else:
            code = ord(char)
        if 0xD800 <= code < 0xDC00 and (low := re.compile(r"\\u(d[c-f][0-9a-f]{2})", re.I).match(self.text, self.at)):
            self.at = low.end()
            code = 0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00
        if code > LAST or 0xD800 <= code < 0xE000:
            raise PatternError("has half a surrogate pair")
        return ((code, code),)
