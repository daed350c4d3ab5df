"""POST /v1/completions: the answer, which is also the form of its chunks."""

from __future__ import annotations

from typing import Literal

import msgspec

from oxillama.engine.api.types import FinishReason
from oxillama.server.generation.usage import Usage
from oxillama.server.wire.answer import Answer


class CompletionLogprobs(Answer, kw_only=True):
    """Four parallel lists with one entry per token."""

    tokens: list[str] = msgspec.field(default_factory=list)
    token_logprobs: list[float | None] = msgspec.field(default_factory=list)
    top_logprobs: list[dict[str, float] | None] = msgspec.field(default_factory=list)
    text_offset: list[int] = msgspec.field(default_factory=list)

    def __add__(self, other: CompletionLogprobs) -> CompletionLogprobs:
        """Both, one after the other."""
        return CompletionLogprobs(
            tokens=self.tokens + other.tokens,
            token_logprobs=self.token_logprobs + other.token_logprobs,
            top_logprobs=self.top_logprobs + other.top_logprobs,
            text_offset=self.text_offset + other.text_offset,
        )


class CompletionChoice(Answer, kw_only=True):
    text: str
    index: int
    logprobs: CompletionLogprobs | None = None
    finish_reason: FinishReason | None = None


class Completion(Answer, kw_only=True):
    """The whole answer, or one chunk of a stream. usage: in a stream, present only with `stream_options.include_usage`,
    and null in all chunks but the last."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: Usage | msgspec.UnsetType | None = msgspec.UNSET
