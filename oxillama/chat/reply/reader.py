"""The reader of a reply: a parser, stop strings, and the budget of reasoning in one (`engine.api.reading`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from oxillama.chat.reply.content import ContentOutput
from oxillama.chat.reply.events import Arguments, CallBegan, CallEnded, Content, Ended, Event, Parser, Reasoning
from oxillama.engine.api.reading import Reading

Part = Event | Ended
"""What the events of a generation carry (`TokenEvent.parts`)."""


class Pieces(Protocol):
    """`oxillama.text.Tokenizer`, as a reader uses it."""

    @property
    def n_vocab(self) -> int: ...
    def token_bytes(self, token_id: int, /) -> bytes: ...
    def is_control(self, token_id: int, /) -> bool: ...
    def token_text(self, token_id: int, /) -> str: ...


class ReplyReader:
    """Reads the tokens of one reply. Its parts are events of `reply.events`; the last one is `Ended`.

    Stop strings count in the answer's text only. Tokens are numbered from 0.
    """

    def __init__(
        self,
        parser: Parser,
        pieces: Pieces,
        *,
        stop: Sequence[str] = (),
        min_tokens: int = 0,
        parallel: bool = True,
        budget: int | None = None,
        closing: tuple[int, ...] = (),
        unsplit: Parser | None = None,
    ) -> None:
        """min_tokens: stop strings do not count before. parallel: if not, the reply ends with its first call.

        budget: when so many tokens of reasoning were read, the tokens `closing` are forced, which end it. unsplit: if
        given, the parts are those of this parser, which leaves reasoning in the content; `parser` only tells what of it
        is reasoning.
        """
        self._thinker = parser
        self._parser = unsplit or parser
        self._pieces = pieces
        self._content = ContentOutput(stop)
        self._stop = bool(stop)
        self._min_tokens = min_tokens
        self._parallel = parallel
        self._budget = budget
        self._closing = closing
        self._due = 0  # tokens of `closing` that are forced and not read yet
        self._n = 0
        self._n_reasoning = 0
        self._n_begun = self._n_ended = 0  # calls
        self._heeds = True  # stop strings
        self._over = False

    def push(self, token_id: int) -> Reading:
        """See `engine.api.reading.Reader`."""
        n, self._n = self._n, self._n + 1
        self._heeds = n >= self._min_tokens
        self._n_reasoning += self._thinker.thinking
        thinking = self._parser.thinking
        self._due -= self._due > 0
        pieces, known = self._pieces, token_id < self._pieces.n_vocab  # models may have more logits than tokens
        piece = pieces.token_bytes(token_id) if known else b""
        events = self._parser.push(token_id, piece)
        if self._thinker is not self._parser:
            self._thinker.push(token_id, piece)
        says = not thinking and self._n_begun == self._n_ended  # before the token, as far as is known
        if says:
            self._content.token(n)
        parts = self._parts(events)
        if says and known and self._stop and not self._over and pieces.is_control(token_id):
            self._take(parts, pieces.token_text(token_id), hidden=True)
        return Reading(tuple(parts), self._over, self._forced())

    def end(self, truncated: bool) -> tuple[Part, ...]:
        """See `engine.api.reading.Reader`."""
        parts: list[Part] = []
        if not self._over:
            parts += self._parts(self._parser.end(truncated))
        if not self._over and (rest := self._content.end(called=self._n_begun > 0)) is not None:
            parts.append(rest)
        parts.append(Ended(self._n_begun > 0, self._n_reasoning))
        return tuple(parts)

    def _forced(self) -> tuple[int, ...]:
        """What closes the reasoning if its budget is spent."""
        if self._budget is None or self._n_reasoning < self._budget or self._due or self._over:
            return ()
        if not self._thinker.thinking:
            return ()
        self._due = len(self._closing)
        return self._closing

    def _parts(self, events: Sequence[Event]) -> list[Part]:
        parts: list[Part] = []
        for event in events:
            if isinstance(event, Content):
                if event.text:
                    self._content.token(self._n - 1)
                self._take(parts, event.text)
            else:
                self._pass(parts, event)
            if self._over:
                break
        return parts

    def _take(self, parts: list[Part], text: str, *, hidden: bool = False) -> None:
        found, self._over = self._content.add(text, heed_stops=self._heeds, hidden=hidden)
        if found is not None:
            parts.append(found)

    def _pass(self, parts: list[Part], event: Event) -> None:
        if (found := self._content.interrupt()) is not None:
            parts.append(found)
        last = parts[-1] if parts else None
        match event:
            case Reasoning(text) if isinstance(last, Reasoning):
                last.text += text
            case Arguments(index, text) if isinstance(last, Arguments) and last.index == index:
                last.text += text
            case _:
                parts.append(event)
        if isinstance(event, CallBegan):
            self._n_begun += 1
        elif isinstance(event, CallEnded):
            self._n_ended += 1
            self._over = not self._parallel
