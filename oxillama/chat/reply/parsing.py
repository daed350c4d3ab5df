"""What the parsers of replies share: tokens become the text of a source, and a generator reads it."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from oxillama.chat.reply.events import Event
from oxillama.chat.reply.source import Source

if TYPE_CHECKING:
    from oxillama.chat.reply.markers import Markers
    from oxillama.chat.reply.source import Steps


class SourceParser:
    """A `Parser` whose `_run` gets the generator that reads `_source` to its end and adds to `_events`."""

    def __init__(self, markers: Markers) -> None:
        self._source = Source()
        self._events: list[Event] = []
        self._thinking = False
        self._chars = markers.chars
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def _run(self, steps: Steps[None]) -> None:
        self._steps = steps
        next(steps)

    @property
    def thinking(self) -> bool:
        """Whether the reply is in its reasoning."""
        return self._thinking

    def push(self, token_id: int, piece: bytes) -> list[Event]:
        char = self._chars.get(token_id)
        text = self._decoder.decode(piece) if char is None else self._decoder.decode(b"", True) + char
        if not text:
            return []
        if not self._source.pass_on(text):
            self._source.feed(text)
            next(self._steps)
        events = self._events[:]
        self._events.clear()
        return events

    def end(self, truncated: bool = False) -> list[Event]:
        source = self._source
        source.feed(self._decoder.decode(b"", True))
        source.ended, source.truncated = True, truncated
        for _ in self._steps:
            raise AssertionError("a parser waits for text after the end")
        events = self._events[:]
        self._events.clear()
        return events
