"""What the scripted engine's events show: text, or what a request's reader makes of the tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oxillama.engine.api.types import TokenEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.engine.api.reading import Reader
    from oxillama.engine.api.types import TokenLogprob


class _StopStrings:
    """Holds back text that may still become a stop string."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._held = ""

    def push(self, text: str) -> tuple[str, bool]:
        self._held += text
        hits = [at for at in (self._held.find(s) for s in self._stops) if at >= 0]
        if hits:
            released, self._held = self._held[: min(hits)], ""
            return released, True
        keep = max((n for s in self._stops for n in range(1, len(s)) if self._held.endswith(s[:n])), default=0)
        released, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return released, False

    def flush(self) -> str:
        released, self._held = self._held, ""
        return released


class ShownText:
    """Events with text, as for a request without a reader."""

    def __init__(self, stops: tuple[str, ...], token_bytes: Callable[[int], bytes]) -> None:
        self._stops = _StopStrings(stops)
        self._token_bytes = token_bytes
        self._pending = b""  # bytes of an unfinished character
        self._held: list[TokenLogprob] = []  # for text that is not released yet
        self._matched = False

    def push(self, token: int, logprob: TokenLogprob | None) -> tuple[TokenEvent, tuple[int, ...]]:
        if logprob is not None:
            self._held.append(logprob)
        self._pending += self._token_bytes(token)
        try:
            whole, self._pending = self._pending.decode(), b""
        except UnicodeDecodeError:
            whole = ""
        text, self._matched = self._stops.push(whole)
        return TokenEvent(token, text, self._taken() if text else (), "stop" if self._matched else None), ()

    def end(self, event: TokenEvent) -> TokenEvent:
        if self._matched:
            return event
        text = self._pending.decode("utf-8", "replace") + self._stops.flush()
        return replace(event, text=event.text + text, logprobs=event.logprobs + self._taken())

    def _taken(self) -> tuple[TokenLogprob, ...]:
        taken, self._held = tuple(self._held), []
        return taken


class ReadTokens:
    """Events with the parts of a request's reader."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def push(self, token: int, logprob: TokenLogprob | None) -> tuple[TokenEvent, tuple[int, ...]]:
        read = self._reader.push(token)
        logprobs = () if logprob is None else (logprob,)
        return TokenEvent(token, "", logprobs, "stop" if read.stop else None, read.parts), read.forced

    def end(self, event: TokenEvent) -> TokenEvent:
        return replace(event, parts=event.parts + self._reader.end(truncated=event.finish_reason == "length"))
