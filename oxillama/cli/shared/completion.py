"""One completion through the engine, piece by piece: what `run` does once its arguments are understood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from oxillama.engine.api.protocol import EngineLike
from oxillama.engine.api.types import GenerationRequest, SamplingParams, Timings, Usage


@dataclass(slots=True)
class Completion:
    """A completion, finished or under way. `ids` are all generated tokens, the one that ended the text included."""

    prompt_ids: tuple[int, ...]
    ids: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: str | None = None
    usage: Usage = field(default_factory=lambda: Usage(0, 0))
    timings: Timings = field(default_factory=lambda: Timings(0.0, 0.0, 0.0))

    def as_json(self, model: str) -> dict[str, Any]:
        """The object that `run --json` prints."""
        decoded = len(self.ids) - 1  # the first token comes out of prefill
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
    return count / seconds if count > 0 and seconds > 0 else None


async def complete(
    engine: EngineLike, done: Completion, sampling: SamplingParams, write: Callable[[str], None]
) -> Completion:
    """Continue `done.prompt_ids`, handing every piece of text to `write` as soon as it is certain.

    `done` is filled as the text comes: after a cancellation it holds what there was, and `finish_reason` is None.
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
