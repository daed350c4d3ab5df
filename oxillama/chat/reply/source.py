"""The text of a reply as it comes, for parsers written as generators.

A parser is a generator that yields when it needs more text. It reads with `yield from source.next()` and the other
methods below, so that it looks as if the whole text were there. Text that a parser may have to give back is kept from
`mark` on; apart from that, only what is not yet read is kept. All methods take time in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]
"""A parser's part that returns a T. It yields when it needs more text."""


class Scanner:
    """Finds the first of several markers in a text that comes in pieces.

    markers: found anywhere. at_line: found only after a newline. lead: how many newlines before a marker belong to it.
    """

    def __init__(self, markers: Iterable[str], *, lead: int = 0, at_line: Iterable[str] = ()) -> None:
        anywhere, lines = sorted(set(markers), key=len, reverse=True), sorted(set(at_line), key=len, reverse=True)
        lead = max(lead, 1) if lines else lead
        parts = []
        if anywhere:
            parts.append(f"\n{{0,{lead}}}(?:{'|'.join(map(re.escape, anywhere))})")
        if lines:
            parts.append(f"\n{{1,{lead}}}(?:{'|'.join(map(re.escape, lines))})")
        self.full = re.compile("|".join(parts) or "(?!)")
        self.prefixes = {
            "\n" * newlines + marker[:length]
            for group, least in ((anywhere, 0), (lines, 1))
            for marker in group
            for newlines in range(least, lead + 1)
            for length in range(len(marker))
        } | {"\n" * newlines for newlines in range(1, lead + 1) if lines}
        self.prefixes.discard("")
        starts = sorted({text[0] for text in self.prefixes} | {marker[0] for marker in anywhere})
        self.first = re.compile(f"[{''.join(map(re.escape, starts))}]" if starts else "(?!)")
        self.longest = max(map(len, self.prefixes), default=0)

    def held(self, text: str, at: int) -> int:
        """The length of the longest end of text[at:] that may become a marker."""
        size = len(text)
        for match in self.first.finditer(text, max(at, size - self.longest)):
            if text[match.start() :] in self.prefixes:
                return size - match.start()
        return 0


class Source:
    """The text that has come and is not yet read.

    ended: nothing follows. truncated: a limit ended the reply, not the model. keeps: what was read between marks is
    kept as well, for `before_mark`.
    """

    __slots__ = ("_at", "_earlier", "_kept", "_mark", "_text", "_waits", "ended", "keeps", "truncated")

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._mark: int | None = None  # where in _text the kept text begins, which continues `_kept`
        self._kept: list[str] = []
        self._earlier: list[str] = []
        self.ended = False
        self.truncated = False
        self.keeps = False
        self._waits: tuple[re.Pattern[str], Callable[[str], object]] | None = None  # `until`, with nothing held back

    def feed(self, text: str) -> None:
        """Add text that has come."""
        if self._mark is not None:
            self._kept.append(self._text[self._mark : self._at])
            self._mark = 0
        self._text = self._text[self._at :] + text
        self._at = 0

    def pass_on(self, text: str) -> bool:
        """Give text that has come to the `emit` of a waiting `until`, if that is all that would be done with it."""
        if self._waits is None or self._mark is not None or self._waits[0].search(text) is not None:
            return False
        self._waits[1](text)
        return True

    def mark(self, back: int = 0) -> None:
        """Keep what is read from here on, or from `back` characters before, which must have come in the same piece."""
        self._keep(back)
        self._kept.clear()
        self._mark = max(self._at - back, 0)

    def since_mark(self) -> str:
        """What has been read since `mark`."""
        return "".join(self._kept) + self._text[self._mark or 0 : self._at]

    def rewind(self, offset: int) -> None:
        """Go back to `offset` characters after the mark, and keep nothing of what follows."""
        self._keep(len(self.since_mark()) - offset)
        if self._kept:
            read = self.since_mark()
            self._text = read + self._text[self._at :]
            self._mark = 0
        self._at = (self._mark or 0) + offset
        self._kept.clear()
        self._mark = self._at if self.keeps else None

    def unread(self, text: str) -> None:
        """Put back the text that was read last."""
        earlier = len(text) - (self._at - (self._mark or 0))
        if earlier <= 0:
            self._at -= len(text)
            return
        while self._kept and earlier > 0:  # not all that is kept: that would cost too much each time
            piece = self._kept.pop()
            if len(piece) > earlier:
                self._kept.append(piece[: len(piece) - earlier])
            earlier -= len(piece)
        self._text = text + self._text[self._at :]
        self._at, self._mark = 0, None if self._mark is None else 0

    def unmark(self) -> None:
        """Keep nothing any more."""
        self._kept.clear()
        self._earlier.clear()
        self._mark = None

    def before_mark(self) -> str:
        """What was read between the first mark and the last one, if the source keeps it."""
        return "".join(self._earlier)

    def _keep(self, back: int) -> None:
        """Keep what was read since the mark, but for its last characters."""
        if self.keeps and self._mark is not None:
            read = self.since_mark()
            self._earlier.append(read[: len(read) - back])

    # What follows reads. The generators yield when they need more text.

    def peek(self) -> Steps[str]:
        """The next character; "" at the end. It stays unread."""
        while self._at >= len(self._text):
            if self.ended:
                return ""
            yield
        return self._text[self._at]

    def next(self) -> Steps[str]:
        """Read the next character; "" at the end."""
        char = yield from self.peek()
        self._at += len(char)
        return char

    def skip(self, chars: str) -> Steps[str]:
        """Read characters of the given set and return the first other one, unread; "" at the end."""
        while True:
            char = yield from self.peek()
            if not char or char not in chars:
                return char
            self._at += 1

    def gather(self, chars: str) -> Steps[str]:
        """Read characters of the given set and return them."""
        found: list[str] = []
        while (char := (yield from self.peek())) and char in chars:
            found.append(char)
            self._at += 1
        return "".join(found)

    def literal(self, *options: str) -> Steps[str | None]:
        """Read one of the texts if the text goes on with it, the longest that fits; None: with none of them."""
        longest = max(map(len, options), default=0)
        while True:
            here = self._text[self._at : self._at + longest]
            if self.ended or not any(len(option) > len(here) and option.startswith(here) for option in options):
                break
            yield
        found = max((option for option in options if here.startswith(option)), key=len, default=None)
        self._at += len(found or "")
        return found

    def run(self, pattern: re.Pattern[str]) -> str:
        """Read what matches here of the text that has come, without waiting. "": nothing."""
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def until(self, scanner: Scanner, emit: Callable[[str], object]) -> Steps[str | None]:
        """Give the text before the next marker to `emit`, read the marker and return it; None: the text ended.

        Only an end that may become a marker is held back.
        """
        while True:
            text, at = self._text, self._at
            open_from = len(text) - (0 if self.ended else scanner.held(text, at))
            match = scanner.full.search(text, at)
            if match is not None and match.start() < open_from:
                self._at = match.end()
                if match.start() > at:
                    emit(text[at : match.start()])
                return match[0]
            self._at = open_from
            if open_from > at:
                emit(text[at:open_from])
            if self.ended:
                return None
            self._waits = (scanner.first, emit) if open_from == len(text) else None
            yield
            self._waits = None
