"""Literals of Python and JSON, mixed as models mix them, read into JSON text.

The text was written by a model. So nothing is evaluated, nesting is bounded, and the time is linear. Python's own
parser refuses reserved words as names (`from="x"`) and numbers with leading zeros, and can be made to crash by nesting.
"""

from __future__ import annotations

import json as standard
import re
from typing import Any

from oxillama.chat.values.quoting import quoted

_DEPTH = 64
_SPACE = re.compile(r"\s*+")
_NAME = re.compile(r"[^\W\d]\w*+(?:\.[^\W\d]\w*+)*+")
_KEYWORD = re.compile(r"[^\s=,:()\[\]{}\"']++")
_WORD = re.compile('[^\\s,:=()\\[\\]{}"\'\ud800-\udfff][^,:(){}\\[\\]\\n"\ud800-\udfff]*+')
_STRING = {quote: re.compile(rf"[^{quote}\\]*+(?:\\.[^{quote}\\]*+)*+{quote}", re.DOTALL) for quote in ("'", '"')} | {
    quote * 3: re.compile(rf"(?:[^{quote}\\]|\\.|{quote}(?!{quote}{quote}))*+{quote * 3}", re.DOTALL) for quote in "'\""
}
_PREFIXED = re.compile(r"(?i:(r)[bf]?|[bf](r)|[ubf])?(\"\"\"|'''|\"|')")
_NUMBER = re.compile(
    r"([+-]?)\s*+(?:0[xX]([0-9a-fA-F_]{1,40})|0[oO]([0-7_]{1,40})|0[bB]([01_]{1,80})"
    r"|([0-9][0-9_]*+)?(\.[0-9_]*+)?([eE][+-]?[0-9]++)?)(?![\w.])"
)
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*+)(?=[,\])}])")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|(\r\n|.))", re.DOTALL)
_ESCAPED = {
    "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "/": "/", "\n": "", "\r\n": "",
}  # fmt: skip
WORDS = {"true": "true", "True": "true", "false": "false", "False": "false", "null": "null", "None": "null"}
_CLOSERS = {"[": "]", "(": ")", "{": "}"}


def _refuse(word: str) -> Any:
    raise ValueError(word)


# The numbers' values do not matter, and Python refuses to read very long ones.
_CHECK = standard.JSONDecoder(parse_int=len, parse_float=len, parse_constant=_refuse)


def json_end(text: str, at: int) -> int | None:
    """Where the JSON value that begins at `at` ends; None: there is none."""
    try:
        return _CHECK.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        return None


class LiteralError(ValueError):
    """The text is no literal. `at` is where reading stopped."""

    def __init__(self, at: int) -> None:
        super().__init__(f"no literal at character {at}")
        self.at = at


class Literals:
    """Reads literals from a text at a position. The methods return JSON text and the position behind it.

    quote: one more delimiter of strings, without escapes, as Gemma has it. bare: keys and strings may be words without
    quotes, if they are nothing else.

    Raises LiteralError.
    """

    def __init__(self, text: str, *, quote: str = "", bare: bool = False) -> None:
        self._text = text
        self._quote = quote
        self._bare = bare
        self._members: list[str] = []

    @property
    def arguments_so_far(self) -> str:
        """The object of the arguments that `arguments` has read, without its end."""
        return "{" + ", ".join(self._members) if self._members else ""

    def whole(self) -> str:
        """The text as one value."""
        json, at = self.value(self.skip(0))
        if self.skip(at) != len(self._text):
            raise LiteralError(at)
        return json

    def skip(self, at: int) -> int:
        """The position behind white space."""
        found = _SPACE.match(self._text, at)
        assert found is not None
        return found.end()

    def arguments(self, at: int) -> tuple[str, int]:
        """`k=v, …)` as an object, from behind the opening parenthesis to behind the closing one."""
        self._members = members = []
        at = self.skip(at)
        while not self._text.startswith(")", at):
            if (found := _KEYWORD.match(self._text, at)) is None:
                raise LiteralError(at)
            key, at = found[0], self.skip(found.end())
            if not self._text.startswith("=", at):
                raise LiteralError(at)
            json, at = self.value(self.skip(at + 1))
            members.append(f"{quoted(key)}: {json}")
            at = self._comma(at, ")")
        return "{" + ", ".join(members) + "}", at + 1

    def value(self, at: int, depth: int = 0) -> tuple[str, int]:
        """Any literal, as JSON."""
        text = self._text
        if self._quote and text.startswith(self._quote, at):
            return self._delimited(at)
        char = text[at : at + 1]
        if char in _CLOSERS and char:
            if not depth and (end := json_end(text, at)) is not None:
                return text[at:end], end
            if depth >= _DEPTH:
                raise LiteralError(at)
            return self._mapping(at + 1, depth) if char == "{" else self._sequence(at + 1, _CLOSERS[char], depth)
        if (plain := _PLAIN.match(text, at)) is not None:
            return plain[0], plain.end()
        if _PREFIXED.match(text, at) is not None:
            return self._strings(at)
        if (char.isdigit() or char in "+-.") and (number := self._number(at)) is not None:
            return number
        word = (_WORD if self._bare else _NAME).match(text, at)
        if word is not None:
            bare = word[0].rstrip()
            if json := WORDS.get(bare) or (quoted(bare) if self._bare else None):
                return json, word.end()
        raise LiteralError(at)

    def _sequence(self, at: int, closer: str, depth: int) -> tuple[str, int]:
        items: list[str] = []
        at = self.skip(at)
        comma = True
        while not self._text.startswith(closer, at):
            json, at = self.value(at, depth + 1)
            items.append(json)
            at = self.skip(at)
            comma = self._text.startswith(",", at)
            at = self._comma(at, closer)
        if closer == ")" and len(items) == 1 and not comma:
            return items[0], at + 1  # parentheses around one value are no tuple
        return "[" + ", ".join(items) + "]", at + 1

    def _mapping(self, at: int, depth: int) -> tuple[str, int]:
        """A dict; values without keys are a set, which becomes a list."""
        items: list[str] = []
        at = self.skip(at)
        keyed: bool | None = None
        while not self._text.startswith("}", at):
            json, at = self._key(at, depth) if keyed is not False else self.value(at, depth + 1)
            at = self.skip(at)
            if keyed is None:
                keyed = self._text.startswith(":", at)
            if keyed:
                if not self._text.startswith(":", at):
                    raise LiteralError(at)
                key = json if json.startswith('"') else quoted(json)
                json, at = self.value(self.skip(at + 1), depth + 1)
                json = f"{key}: {json}"
            items.append(json)
            at = self._comma(at, "}")
        inside = ", ".join(items)
        return ("[" + inside + "]" if keyed is False else "{" + inside + "}"), at + 1

    def _key(self, at: int, depth: int) -> tuple[str, int]:
        """A key of a dict: with `bare`, everything up to the colon if it is no string."""
        if self._bare and not (self._quote and self._text.startswith(self._quote, at)):
            found = _WORD.match(self._text, at)
            if found is not None and self._text.startswith(":", self.skip(found.end())):
                return quoted(found[0].rstrip()), found.end()
        return self.value(at, depth + 1)

    def _comma(self, at: int, closer: str) -> int:
        """The position of the next item or of the closer; a comma before the closer is allowed."""
        at = self.skip(at)
        if self._text.startswith(",", at):
            return self.skip(at + 1)
        if not self._text.startswith(closer, at):
            raise LiteralError(at)
        return at

    def _delimited(self, at: int) -> tuple[str, int]:
        begin = at + len(self._quote)
        end = self._text.find(self._quote, begin)
        if end < 0:
            raise LiteralError(at)
        return quoted(self._text[begin:end]), end + len(self._quote)

    def _strings(self, at: int) -> tuple[str, int]:
        """A string; neighbours are one string, as in Python."""
        pieces = []
        end = at
        while (found := _PREFIXED.match(self._text, at)) is not None:
            body = _STRING[found[3]].match(self._text, found.end())
            if body is None:
                raise LiteralError(at)
            inside = body[0][: -len(found[3])]
            pieces.append(inside if found[1] or found[2] else _ESCAPE.sub(_unescaped, inside))
            end = body.end()
            at = self.skip(end)
        return quoted("".join(pieces)), end

    def _number(self, at: int) -> tuple[str, int] | None:
        found = _NUMBER.match(self._text, at)
        if found is None:
            return None
        sign = "-" if found[1] == "-" else ""
        for group, base in ((2, 16), (3, 8), (4, 2)):
            if digits := (found[group] or "").replace("_", ""):
                return sign + str(int(digits, base)), found.end()
        whole, part, exponent = ((found[group] or "").replace("_", "") for group in (5, 6, 7))
        if not whole and len(part) < 2:
            return None
        fraction = part if len(part) > 1 else part and ".0"
        return sign + (whole.lstrip("0") or "0") + fraction + exponent, found.end()


def _unescaped(escape: re.Match[str]) -> str:
    for group in (1, 2, 3):
        if digits := escape[group]:
            code = int(digits, 16)
            return chr(code) if code < 0x110000 else "\ufffd"
    if octal := escape[4]:
        return chr(int(octal, 8))
    return _ESCAPED.get(escape[5], escape[0])
