"""The cost of an answer: tokens and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from oxillama.server.wire.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxillama.engine.api.protocol import GenerationStream


class PromptTokensDetails(Answer, kw_only=True):
    """cached_tokens: prompt tokens that came from the prefix cache."""

    cached_tokens: int
    audio_tokens: int = 0


class CompletionTokensDetails(Answer, kw_only=True):
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class Usage(Answer, kw_only=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails = msgspec.field(default_factory=CompletionTokensDetails)

    @classmethod
    def of(
        cls,
        prompts: Sequence[GenerationStream],
        generations: Sequence[GenerationStream],
        *,
        reasoning_tokens: int = 0,
    ) -> Usage:
        """The sum. Each prompt counts once (`prompts` has one stream for each), and every generated token.

        reasoning_tokens: how many of the generated tokens were reasoning.
        """
        prompt_tokens = sum(stream.usage.prompt_tokens for stream in prompts)
        completion_tokens = sum(stream.usage.completion_tokens for stream in generations)
        return cls(
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            total_tokens=prompt_tokens + completion_tokens,
            prompt_tokens_details=PromptTokensDetails(cached_tokens=sum(s.usage.cached_tokens for s in prompts)),
            completion_tokens_details=CompletionTokensDetails(reasoning_tokens=reasoning_tokens),
        )


class Timings(Answer, kw_only=True):
    """Times of the first choice: cached, prompt and generated tokens, milliseconds, and tokens per second.

    The names are those of llama.cpp's server; `queue_ms` is ours. Speeds are null if nothing was measured.
    """

    cache_n: int
    prompt_n: int
    predicted_n: int
    queue_ms: float
    prompt_ms: float
    predicted_ms: float
    prompt_per_second: float | None
    predicted_per_second: float | None

    @classmethod
    def of(cls, stream: GenerationStream) -> Timings:
        """The first token is computed with the prompt, so decoding has no speed before the second token."""
        usage, timings = stream.usage, stream.timings
        read, decoded = usage.prompt_tokens - usage.cached_tokens, usage.completion_tokens - 1
        return cls(
            cache_n=usage.cached_tokens,
            prompt_n=read,
            predicted_n=usage.completion_tokens,
            queue_ms=round(timings.queue_s * 1000, 3),
            prompt_ms=round(timings.prefill_s * 1000, 3),
            predicted_ms=round(timings.decode_s * 1000, 3),
            prompt_per_second=_per_second(read, timings.prefill_s),
            predicted_per_second=_per_second(decoded, timings.decode_s) if decoded > 0 else None,
        )


def _per_second(tokens: int, seconds: float) -> float | None:
    return round(tokens / seconds, 3) if seconds > 0 else None
