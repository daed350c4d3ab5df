"""From tokens to what an event shows: text with the log-probabilities that belong to it, or what a reader makes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.engine.api.reading import Reader
    from oxillama.engine.api.types import FinishReason, TokenLogprob


class Detokenizer(Protocol):
    """`oxillama.text.StreamDetokenizer`: whole characters only."""

    def push(self, token_id: int, /) -> str: ...
    def flush(self) -> str: ...


class Stops(Protocol):
    """`oxillama.text.StopMatcher`: (text that is not part of a stop string, whether one was found)."""

    def push(self, text: str, /, *, hidden: bool = False) -> tuple[str, bool]: ...
    def flush(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Shown:
    """What one more token, or the end, adds. stop, forced: see `Reading`."""

    text: str = ""
    parts: tuple[object, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    stop: bool = False
    forced: tuple[int, ...] = ()


class Output(Protocol):
    """What events show of one generation."""

    def push(self, token_id: int, logprob: TokenLogprob | None, *, heed_stops: bool = True) -> Shown: ...
    def end(self, reason: FinishReason) -> Shown:
        """What was held back. Called once, after the last token."""


class ReaderOutput:
    """The parts that a request's reader makes of the tokens. It decides itself when it heeds stop strings."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def push(self, token_id: int, logprob: TokenLogprob | None, *, heed_stops: bool = True) -> Shown:
        reading = self._reader.push(token_id)
        logprobs = () if logprob is None else (logprob,)
        return Shown("", reading.parts, logprobs, reading.stop, reading.forced)

    def end(self, reason: FinishReason) -> Shown:
        return Shown("", self._reader.end(truncated=reason == "length"))


class TextOutput:
    """The text side of one generation.

    Text lags behind tokens twice: until a character is whole, and while it could be the start of a stop string. The
    log-probabilities of a token are held back until some of its text is released, or the text is over; those of tokens
    that lie wholly inside a stop string are never released.
    """

    def __init__(
        self,
        detokenizer: Detokenizer | None,
        stops: Stops | None,
        *,
        drop_space: bool = False,
        hidden_text: Callable[[int], str] = lambda _: "",
    ) -> None:
        """detokenizer: None if there is no text. drop_space: drop one space at the start of the text.

        hidden_text: the spelling of a control token, which stop strings may name; "" for tokens that are shown.
        """
        self._detokenizer = detokenizer
        self._stops = stops
        self._hidden_text = hidden_text
        self._drop_space = drop_space
        self._pushed = 0  # characters that have come out of the detokenizer
        self._released = 0  # characters that have been shown
        self._held: deque[tuple[int, TokenLogprob]] = deque()  # with the character at which each token starts
        self._stopped = False

    def push(self, token_id: int, logprob: TokenLogprob | None, *, heed_stops: bool = True) -> Shown:
        """The text and the log-probabilities that one more token releases, and whether a stop string was found."""
        if logprob is not None:
            self._held.append((self._pushed, logprob))
        if self._detokenizer is None:
            return Shown(logprobs=self._take_all())
        text, matched = self._detokenizer.push(token_id), False
        if self._drop_space and text:
            text, self._drop_space = text.removeprefix(" "), False
        self._pushed += len(text)
        if self._stops is not None and heed_stops:
            text, matched = self._stops.push(text)
            if not matched and (hidden := self._hidden_text(token_id)):
                more, matched = self._stops.push(hidden, hidden=True)
                text += more
        self._released += len(text)
        self._stopped = matched
        return Shown(text, logprobs=self._take_started(), stop=matched)

    def end(self, reason: FinishReason) -> Shown:
        """The text that was held back; none after a stop string."""
        if self._stopped:
            return Shown()
        text = self._detokenizer.flush() if self._detokenizer is not None else ""
        if self._stops is not None:
            text, matched = self._stops.push(text)
            text += "" if matched else self._stops.flush()
        return Shown(text, logprobs=self._take_all())

    def _take_started(self) -> tuple[TokenLogprob, ...]:
        taken = []
        while self._held and self._held[0][0] < self._released:
            taken.append(self._held.popleft()[1])
        return tuple(taken)

    def _take_all(self) -> tuple[TokenLogprob, ...]:
        taken = tuple(logprob for _, logprob in self._held)
        self._held.clear()
        return taken
