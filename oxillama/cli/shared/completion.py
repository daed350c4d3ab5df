"""One completion with the engine, piece by piece. `run` and `chat` share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from oxillama.engine.api.protocol import EngineLike
from oxillama.engine.api.types import GenerationRequest, SamplingParams, Timings, Usage


@dataclass(slots=True)
class Completion:
    """A completion, finished or in progress. ids: all generated tokens, including the one that ended the text."""

    prompt_ids: tuple[int, ...]
    ids: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: str | None = None
    usage: Usage = field(default_factory=lambda: Usage(0, 0))
    timings: Timings = field(default_factory=lambda: Timings(0.0, 0.0, 0.0))

    def as_json(self, model: str) -> dict[str, Any]:
        """The object that `run --json` prints."""
        decoded = len(self.ids) - 1  # prefill produces the first token
        return {
            "model": model,
            "text": self.text,
            "ids": self.ids,
            "prompt_ids": self.prompt_ids,
            "finish_reason": self.finish_reason,
            "usage": {
                "prompt_tokens": self.usage.prompt_tokens,
                "completion_tokens": self.usage.completion_tokens,
                "total_tokens": self.usage.total_tokens,
                "cached_tokens": self.usage.cached_tokens,
            },
            "timings": {
                "queue_s": self.timings.queue_s,
                "prefill_s": self.timings.prefill_s,
                "decode_s": self.timings.decode_s,
                "prefill_tok_s": rate(self.usage.prompt_tokens - self.usage.cached_tokens, self.timings.prefill_s),
                "decode_tok_s": rate(decoded, self.timings.decode_s),
            },
        }


def rate(count: int, seconds: float) -> float | None:
    """Per second; None if there is nothing to divide."""
    return count / seconds if count > 0 and seconds > 0 else None


async def complete(
    engine: EngineLike, done: Completion, sampling: SamplingParams, write: Callable[[str], None]
) -> Completion:
    """Continue `done.prompt_ids`, and pass every piece of text to `write` as soon as it is final.

    `done` is updated during generation. After a cancellation it has the text so far, and `finish_reason` is None.
    Raises the errors of `EngineLike.generate` and of its stream.
    """
    async with engine.generate(GenerationRequest(prompt_ids=done.prompt_ids, sampling=sampling)) as stream:
        try:
            async for event in stream:
                if event.token_id is not None:
                    done.ids.append(event.token_id)
                if event.text:
                    done.text += event.text
                    write(event.text)
                done.finish_reason = event.finish_reason or done.finish_reason
        finally:
            done.usage, done.timings = stream.usage, stream.timings
    return done
