"""The elements of one JSON array, or the names in one JSON object, read byte by byte: whether they all differ.

The bytes are those of valid JSON, since a grammar allows no others. Two elements are equal if their values are
(JSON Schema 2020-12, core, section 4.2.2): white space, the order of members and the spelling of numbers do not count.
"""

from __future__ import annotations

import json

SPACE = b" \t\n\r"
_OPENERS, _CLOSERS = b"[{", b"]}"
_NUMBER = b"0123456789.eE+-"


class Elements:
    """An array or object from its opening bracket on. Copies share the texts that they have in common."""

    __slots__ = ("_depth", "_escaped", "_in_string", "_keys", "_names", "_reads", "_texts", "text")

    def __init__(self) -> None:
        self.text = bytearray()  # of the element that is being read, without white space
        self._depth = 0
        self._in_string = self._escaped = False
        self._names = False  # of an object, not the items of an array
        self._reads = False  # an element, not a member's value
        self._keys: frozenset[str] = frozenset()  # of the elements that have ended
        self._texts: tuple[bytes, ...] = ()

    def copy(self) -> Elements:
        new = Elements.__new__(Elements)
        new.text = self.text[:]
        new._depth, new._in_string, new._escaped = self._depth, self._in_string, self._escaped
        new._names, new._reads, new._keys, new._texts = self._names, self._reads, self._keys, self._texts
        return new

    @property
    def closed(self) -> bool:
        """Whether its closing bracket has been read."""
        return self._depth < 0

    @property
    def in_string(self) -> bool:
        return self._in_string

    @property
    def in_danger(self) -> bool:
        """Whether the element may become equal to an earlier one, as far as its text shows."""
        if not self._reads or not self._texts:
            return False
        begun = bytes(self.text)
        return any(text.startswith(begun) for text in self._texts)

    def feed(self, piece: bytes) -> int | None:
        """Read on. Returns how many of the bytes complete an element that is equal to an earlier one; None: none do."""
        for at, byte in enumerate(piece):
            if self.closed:
                break
            if not self._read(byte):
                return at + 1
        return None

    def _read(self, byte: int) -> bool:
        """Read one byte. Returns whether the elements that have ended differ."""
        if self._in_string:
            if self._reads:
                self.text.append(byte)
            if self._escaped:
                self._escaped = False
            elif byte == 0x5C:
                self._escaped = True
            elif byte == 0x22:
                self._in_string = False
                return self._depth > 1 or not self._reads or self._differs()
            return True
        if byte in SPACE:
            return True
        if byte in _OPENERS:
            if self._depth == 0:
                self._depth, self._names, self._reads = 1, byte == 0x7B, True
                return True
            self._depth += 1
        elif byte in _CLOSERS:
            self._depth -= 1
            if self._depth == 0:
                self._depth = -1
                return not self._reads or not self.text or self._end()
        elif byte == 0x22:
            self._in_string = True
        elif self._depth == 1 and byte in b",:":
            good = not self._reads or self._end()
            self._reads = byte == 0x2C or not self._names
            return good
        if self._reads:
            if byte in b",]}":
                self._spell_number()
            self.text.append(byte)
            return byte not in _CLOSERS or self._depth > 1 or self._differs()
        return True

    def _spell_number(self) -> None:
        """Write the number at the end of the text, if there is one, as all equal ones are written."""
        text = self.text
        start = len(text)
        while start and text[start - 1] in _NUMBER:
            start -= 1
        while start < len(text) and text[start] not in b"-0123456789":  # the e of "true"
            start += 1
        if start < len(text):
            text[start:] = _key(bytes(text[start:])).encode()

    def _differs(self) -> bool:
        """Whether the element, which cannot go on, is new."""
        return _key(bytes(self.text)) not in self._keys

    def _end(self) -> bool:
        self._spell_number()
        text = bytes(self.text)
        key = _key(text)
        if key in self._keys:
            return False
        self._keys |= {key}
        self._texts = (*self._texts, text)
        self.text = bytearray()
        return True


def _key(text: bytes) -> str:
    """The same for equal values only."""
    try:
        return json.dumps(json.loads(text, parse_float=_number), sort_keys=True)
    except (ValueError, RecursionError):  # a number of thousands of digits, or values nested as deep
        return text.decode("utf-8", "replace")


def _number(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() else value
