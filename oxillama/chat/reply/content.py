"""The text of an answer on its way out: up to the first stop string, with the tokens that each piece came from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from oxillama.chat.reply.events import Content
from oxillama.text import StopMatcher


class ContentOutput:
    """Holds back what may become a stop string, and white space before which no other text came.

    White space alone is no text beside calls, so it belongs to the answer only when other text follows.
    """

    def __init__(self, stop: Iterable[str]) -> None:
        self._stops = StopMatcher(stop)
        self._lead: str | None = ""  # the white space so far; None once other text came
        self._added = 0  # characters
        self._released = 0
        self._last = -1  # token
        self._tokens: deque[tuple[int, int]] = deque()  # (where its text begins, token) of those not released

    def token(self, token: int) -> None:
        """Note that the text that is added next comes from this token, too."""
        if token > self._last:
            self._tokens.append((self._added, token))
            self._last = token

    def add(self, text: str, *, heed_stops: bool = True, hidden: bool = False) -> tuple[Content | None, bool]:
        """(what is released, whether a stop string was found) by more text. Nothing is released after a stop string.

        hidden: the text of a control token, which stop strings may name, but which is not part of the answer.
        """
        self._added += 0 if hidden else len(text)
        if not heed_stops:
            return self._release("" if hidden else text), False
        released, stopped = self._stops.push(text, hidden=hidden)
        return self._release(released), stopped

    def interrupt(self) -> Content | None:
        """Something else than text follows: release what is held back, and forget tokens that gave no text."""
        found = self._release(self._stops.flush())
        self._forget()
        return found

    def end(self, *, called: bool) -> Content | None:
        """What is left at the end. called: the reply has calls, beside which white space alone is nothing."""
        text = self._stops.flush()
        if called:
            self._forget()
        elif self._lead is not None:
            text, self._lead = self._lead + text, None
        found = self._release(text)
        if self._lead is None and self._tokens:
            found = found or Content("")
            found.tokens += tuple(token for _, token in self._tokens)
        return found

    def _forget(self) -> None:
        while self._tokens and self._tokens[-1][0] >= self._added:
            self._last = self._tokens.pop()[1] - 1

    def _release(self, text: str) -> Content | None:
        if self._lead is not None:
            text = self._lead + text
            if not text.strip():
                self._lead = text
                return None
            self._lead = None
        if not text:
            return None
        self._released += len(text)
        found = Content(text)
        while self._tokens and self._tokens[0][0] < self._released:
            found.tokens += (self._tokens.popleft()[1],)
        return found
