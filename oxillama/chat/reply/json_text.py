"""JSON as models write it, read as it comes and passed on as valid JSON.

What is valid is passed on as it was written, spaces included. Mended are: trailing commas, single quotes, words without
quotes, Python's names of constants, raw control characters in strings, wrong escapes, numbers that JSON spells
otherwise, and missing closing brackets. What was passed on can always be completed to a JSON value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oxillama.chat.reply.source import Source, Steps

SPACE = " \t\r\n"
MOST_DEPTH = 200
_MOST_WORD = 5000
_PLAIN = {quote: re.compile(rf"[^{quote}\\\x00-\x1f\ud800-\udfff\"]+") for quote in "\"'"}
_SPACES = re.compile(f"[{SPACE}]+")
_WORD = re.compile(r"[\w+\-.]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LOOSE_NUMBER = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eE][+-]?[0-9]+)?")
_CONSTANTS = {
    **{word: word for word in ("true", "false", "null")},
    **{"True": "true", "False": "false", "None": "null", "undefined": "null"},
    **{word: f'"{word}"' for word in ("NaN", "Infinity", "-Infinity")},
}
_HEX = frozenset("0123456789abcdefABCDEF")

Emit = Callable[[str], object]


class JsonText:
    """One value. `read` returns whether it is complete; if not, `mend` completes what was passed on.

    Reading stops before the first character that cannot be mended. began: whether anything was passed on.
    """

    __slots__ = ("_emit", "_expects", "_in_string", "_source", "_stack", "_stops", "_visible", "began")

    def __init__(self, source: Source, emit: Emit, visible: Emit | None = None, stops: str = "") -> None:
        """visible: what users see of a special token. stops: special tokens that may end an unclosed string."""
        self._source = source
        self._emit = emit
        self._visible = visible
        self._stops = stops
        self._stack: list[str] = []  # the closing brackets that are due, the outermost first
        self._expects = "value"  # "value", "key", "colon", "more" (a comma or a bracket), or "done"
        self._in_string = False
        self.began = False

    def read(self) -> Steps[bool]:
        source = self._source
        gap: list[str] = []  # white space, and a comma that may turn out to be a trailing one
        comma = False
        while self._expects != "done":
            char = yield from source.peek()
            if char and char in SPACE:
                gap.append(source.run(_SPACES))
                continue
            if not char:
                return False
            expects = self._expects
            if char == "," and expects == "more":
                gap.append((yield from source.next()))
                comma = True
                self._expects = "key" if self._stack[-1] == "}" else "value"
                continue
            if char in "}]" and self._closes(char, comma):
                yield from source.next()
                self._write("" if comma else "".join(gap))
                self._close_to(char)
            elif char == ":" and expects == "colon":
                yield from source.next()
                self._write("".join(gap) + ":")
                self._expects = "value"
            elif expects == "key":
                if not (yield from self._key(char, gap)):
                    return False
            elif expects == "value":
                if not (yield from self._value(char, gap)):
                    return False
            else:
                return False
            gap.clear()
            comma = False
        return True

    def mend(self) -> None:
        """Pass on what makes a value of what was passed on. Does nothing if nothing was."""
        if not self.began or self._expects == "done":
            return
        if self._in_string:
            self._write('"')
            self._after_string()
        if self._expects == "colon":
            self._write(": null")
        elif self._expects == "value" and self._stack and self._stack[-1] == "}":
            self._write("null")
        self._write("".join(reversed(self._stack)))
        self._expects = "done"

    def _write(self, text: str) -> None:
        if text:
            self.began = True
            self._emit(text)

    def _closes(self, char: str, comma: bool) -> bool:
        """Whether the bracket closes something here. Inner brackets may be missing."""
        if char not in self._stack:
            return False
        return self._expects == "more" or comma or (self._expects in ("key", "value") and self._is_empty)

    @property
    def _is_empty(self) -> bool:
        """Whether nothing came after the bracket that was opened last. A value after a colon is due in an object."""
        return self._expects == "key" or self._stack[-1] == "]"

    def _close_to(self, char: str) -> None:
        while True:
            closer = self._stack.pop()
            self._write(closer)
            if closer == char:
                break
        self._expects = "more" if self._stack else "done"

    def _key(self, char: str, gap: list[str]) -> Steps[bool]:
        if char in "\"'":
            yield from self._source.next()
            self._write("".join(gap) + '"')
            return (yield from self._string(char))
        word = yield from self._word()
        if not word:
            return False
        self._write("".join(gap) + json.dumps(word, ensure_ascii=False))
        self._expects = "colon"
        return True

    def _value(self, char: str, gap: list[str]) -> Steps[bool]:
        if char in "{[":
            if len(self._stack) >= MOST_DEPTH:
                return False
            yield from self._source.next()
            self._write("".join(gap) + char)
            self._stack.append("}" if char == "{" else "]")
            self._expects = "key" if char == "{" else "value"
            return True
        if char in "\"'":
            yield from self._source.next()
            self._write("".join(gap) + '"')
            return (yield from self._string(char))
        word = yield from self._word()
        if not word:
            return False
        self._write("".join(gap) + (constant(word) or json.dumps(word, ensure_ascii=False)))
        self._after_value()
        return True

    def _word(self) -> Steps[str]:
        parts: list[str] = []
        size = 0
        while size < _MOST_WORD:
            part = self._source.run(_WORD)
            parts.append(part)
            size += len(part)
            char = yield from self._source.peek()
            if not char or not _WORD.match(char):
                break
        return "".join(parts)

    def _string(self, quote: str) -> Steps[bool]:
        """The rest of a string after its quote. It is passed on in double quotes."""
        source = self._source
        plain = _PLAIN[quote]
        self._in_string = True
        while True:
            text = source.run(plain)
            if text:
                self._write(text)
            char = yield from source.peek()
            if not char or (char in self._stops and (yield from self._is_end())):
                return False
            if plain.match(char):
                continue
            yield from source.next()
            if char == quote:
                break
            if char == "\\":
                if not (yield from self._escape()):
                    return False
            elif "\ud800" <= char <= "\udfff":
                shown = self._visible(char) if self._visible is not None else ""
                self._write(json.dumps(shown, ensure_ascii=False)[1:-1])
            else:
                self._write(json.dumps(char)[1:-1])
        self._write('"')
        self._after_string()
        return True

    def _is_end(self) -> Steps[bool]:
        """Whether the special token that comes next ends the call: nothing follows, or another special token does.

        If not, the string quotes it.
        """
        read = yield from self._source.next()
        read += yield from self._source.gather(SPACE)
        following = yield from self._source.peek()
        self._source.unread(read)
        return not following or "\ud800" <= following <= "\udfff"

    def _escape(self) -> Steps[bool]:
        """What follows a backslash. An escape that is cut off is not passed on."""
        source = self._source
        char = yield from source.peek()
        if not char:
            return False
        if char in '"\\/bfnrt':
            yield from source.next()
            self._write("\\" + char)
        elif char == "u":
            yield from source.next()
            digits = ""
            while len(digits) < 4 and (yield from source.peek()) in _HEX:
                digits += yield from source.next()
            if len(digits) == 4:
                self._write("\\u" + digits)
            elif (yield from source.peek()):
                self._write("\\\\u" + digits)
        elif char == "'":
            yield from source.next()
            self._write("'")
        else:
            self._write("\\\\")  # the backslash itself; the character is read as any other
        return True

    def _after_string(self) -> None:
        self._in_string = False
        if self._expects == "key":
            self._expects = "colon"
        else:
            self._after_value()

    def _after_value(self) -> None:
        self._expects = "more" if self._stack else "done"


def constant(word: str) -> str | None:
    """A word as JSON spells it: a number, true, false or null; None: it is none of these."""
    if _NUMBER.fullmatch(word):
        return word
    known = _CONSTANTS.get(word)
    if known is not None:
        return known
    match = _LOOSE_NUMBER.fullmatch(word.replace("_", ""))
    if match is None or not (match[2] or match[3] or "0" in word) or not any(map(str.isdigit, word)):
        return None
    sign = "-" if match[1] == "-" else ""
    fraction = f".{match[3] or '0'}" if match[3] is not None else ""
    return f"{sign}{match[2] or '0'}{fraction}{match[4] or ''}"


def unescaped(fragment: str) -> str:
    """The text of a part of a JSON string that cuts no escape. Halves of a pair become U+FFFD."""
    text: str = json.loads(f'"{fragment}"')
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
