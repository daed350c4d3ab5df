"""The facts about one request, gathered while it is answered and logged when it has ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from quart import has_request_context, request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxillama.engine.api.protocol import GenerationStream


@dataclass(slots=True)
class RequestRecord:
    """Routes fill in the generations or the tokens read, error handlers the error, and the ASGI layer the end."""

    began: float = field(default_factory=time.perf_counter)
    status: int | None = None
    """None: no answer was begun."""
    error_code: str | None = None
    error_param: str | None = None
    is_whole: bool = False
    """Whether the last byte of the answer was sent."""
    abort: str | None = None
    """Why the answer is incomplete: `client` (it left or stopped reading) or `server` (it was stopped)."""
    streams: Sequence[GenerationStream] = ()
    """The generations of the answer: one for each choice."""
    firsts: Sequence[GenerationStream] = ()
    """One stream of each prompt."""
    n_read: int | None = None
    """Tokens of the texts that became vectors or scores."""
    finish_reasons: list[str] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)
    """For each answer that does not match a schema, the parameter that had the schema."""

    def generating(self, streams: Sequence[GenerationStream], firsts: Sequence[GenerationStream]) -> None:
        """Note the generations of the answer; `firsts` has one of them for each prompt."""
        self.streams, self.firsts = streams, firsts

    def read(self, n_tokens: int) -> None:
        """Note the tokens of the texts that became vectors or scores."""
        self.n_read = n_tokens

    def finished(self, reason: str) -> None:
        """Note that a generation has ended by itself."""
        self.finish_reasons.append(reason)

    def mismatched(self, param: str | None) -> None:
        """Note that an answer does not match the schema in this parameter; None: it matches."""
        if param is not None:
            self.mismatches.append(param)

    def failed(self, code: str | None, param: str | None) -> None:
        """Note the error that the answer is, or ends with."""
        self.error_code, self.error_param = code, param

    def elapsed_ms(self) -> float:
        """Milliseconds since the request's headers were read."""
        return (time.perf_counter() - self.began) * 1000

    def tokens(self) -> TokenCounts | None:
        """The tokens of the generations; None if there were none."""
        if not self.streams:
            return None
        written = sum(stream.usage.completion_tokens for stream in self.streams)
        decode_s = max(stream.timings.decode_s for stream in self.streams)
        # The first token of a generation is computed with its prompt and takes no decode step.
        decoded = written - sum(stream.usage.completion_tokens > 0 for stream in self.streams)
        return TokenCounts(
            prompt=sum(stream.usage.prompt_tokens for stream in self.firsts),
            cached=sum(stream.usage.cached_tokens for stream in self.firsts),
            generated=written,
            per_second=decoded / decode_s if decoded > 0 and decode_s > 0 else None,
        )

    def fields(self) -> dict[str, Any]:
        """The record as the keys of a log line, without empty values."""
        counts = self.tokens()
        found: dict[str, Any] = {
            "status": self.status,
            "ms": round(self.elapsed_ms(), 1),
            "code": self.error_code,
            "param": self.error_param,
            "abort": self.abort,
            "finish": ",".join(self.finish_reasons) or None,
            "mismatch": ",".join(self.mismatches) or None,
            "prompt_tokens": self.n_read,
        }
        if counts is not None:
            found |= {
                "prompt_tokens": counts.prompt,
                "cached_tokens": counts.cached,
                "new_tokens": counts.generated,
                "tokens_per_s": None if counts.per_second is None else round(counts.per_second, 1),
            }
        return {key: value for key, value in found.items() if value is not None}


def current_record() -> RequestRecord:
    """The record of the current request; outside a request, a record that is discarded."""
    return cast("RequestRecord", cast("Any", request).record) if has_request_context() else RequestRecord()


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Tokens of a request: prompt tokens, how many of them were cached, tokens generated, and those per second."""

    prompt: int
    cached: int
    generated: int
    per_second: float | None
