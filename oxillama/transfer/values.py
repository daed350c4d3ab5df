"""The JSON values of a file, one after another: a line each, or printed over several lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from oxillama.errors import InvalidParameterError

UTF_8_MARK = b"\xef\xbb\xbf"
MOST = 256 * 2**20
"""The longest value in bytes. A page of a hundred messages has at most about 100 MB."""


@dataclass(frozen=True, slots=True)
class At:
    """Where an object lies in a file: the byte at which its value begins, its place in the page, and the line.

    paged: it is an item of a page of a list.
    """

    offset: int
    index: int
    line: int
    paged: bool


class Values:
    """The objects of a file, in order; those of pages one by one. Read again by their places."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._last: tuple[int, list[Any]] | None = None

    def __iter__(self) -> Iterator[tuple[At, dict[str, Any]]]:
        """Raises InvalidParameterError for what is not JSON or not an object."""
        self._file.seek(0)
        offset, line = 0, 1
        while True:
            value, size, lines, begin = self._next(line)
            if value is None:
                return
            for index, item in enumerate(_items(value)):
                if not isinstance(item, dict):
                    raise self.invalid(begin, "it is not an object of the API")
                yield At(offset, index, begin, paged=item is not value), item
            offset, line = offset + size, line + lines

    def again(self, at: At) -> dict[str, Any]:
        """The object at a place. Objects of one page that are asked for in a row are read once."""
        if self._last is None or self._last[0] != at.offset:
            place = self._file.tell()
            self._file.seek(at.offset)
            value, *_ = self._next(at.line)
            self._file.seek(place)
            self._last = at.offset, _items(value)
        found: dict[str, Any] = self._last[1][at.index]
        return found

    def invalid(self, line: int, why: str) -> InvalidParameterError:
        """The error for a value that begins at this line."""
        return InvalidParameterError(f"{self._path}, line {line}: {why}.")

    def _next(self, line: int) -> tuple[Any, int, int, int]:
        """The next value (None: no more), the bytes and lines that it takes, blank ones before it included, and where
        it begins; line: the number of the next line.

        A value printed over several lines begins with a lone bracket and ends with the line that its partner begins.
        """
        text, lines, begin, begun = b"", 0, line, False
        while row := self._file.readline(MOST - len(text)):
            lines += 1
            text += row
            if len(text) >= MOST:
                raise self.invalid(begin, f"a value is longer than {MOST} bytes")
            stripped = row.removeprefix(UTF_8_MARK).strip()
            if not stripped or (begun and row[:1] not in (b"}", b"]")):
                continue
            if not begun:
                begin = line + lines - 1
            if not begun and stripped in (b"{", b"["):
                begun = True
                continue
            try:
                return msgspec.json.decode(text.removeprefix(UTF_8_MARK)), len(text), lines, begin
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise self.invalid(begin, f"it is not JSON: {error}") from None
        if begun:
            raise self.invalid(begin, "it is cut off")
        return None, len(text), lines, begin


def _items(value: Any) -> list[Any]:
    """The objects of a value: of a page or an array all, else itself."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and value.get("object") == "list" and isinstance(value.get("data"), list):
        return list(value["data"])
    return [value]
