"""The generations of one answer (its choices), opened together, read as one stream of events, closed together."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from oxillama.concurrency import open_nursery
from oxillama.engine.api.types import TokenEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from oxillama.engine.api.protocol import EngineLike, GenerationStream
    from oxillama.engine.api.types import GenerationRequest, TokenLogprob


BUFFERED = 64  # events of a choice that may lie ready to be written together
Item = tuple[int, TokenEvent | Exception]


@dataclass(frozen=True, slots=True)
class Generations:
    """`items`: (index of the choice, its next event, or the error that ended it), in order within each choice."""

    streams: Sequence[GenerationStream]
    items: trio.MemoryReceiveChannel[Item]


@dataclass(frozen=True, slots=True)
class Generated:
    """One finished choice."""

    text: str
    reason: str
    logprobs: tuple[TokenLogprob, ...]


async def collect(generations: Generations, eog_ids: frozenset[int]) -> list[Generated]:
    """Every choice, when all have ended. Raises the first error."""
    texts: list[list[str]] = [[] for _ in generations.streams]
    logprobs: list[list[TokenLogprob]] = [[] for _ in generations.streams]
    reasons = ["length" for _ in generations.streams]
    async for item in generations.items:
        index, event = event_of(item)
        texts[index].append(event.text)
        logprobs[index] += text_logprobs(event, eog_ids)
        reasons[index] = event.finish_reason or reasons[index]
    return [Generated("".join(texts[i]), reasons[i], tuple(logprobs[i])) for i in range(len(texts))]


def nth_seed(seed: int | None, index: int) -> int | None:
    """The seed of a choice: choices must differ, and the first must be what `n=1` gives."""
    return None if seed is None else (seed + index + 2**63) % 2**64 - 2**63


def event_of(item: Item) -> tuple[int, TokenEvent]:
    """The event in an item, or its error raised."""
    index, event = item
    if isinstance(event, Exception):
        raise event
    return index, event


@asynccontextmanager
async def open_generations(engine: EngineLike, requests: Sequence[GenerationRequest]) -> AsyncIterator[Generations]:
    """Queue all the requests, or none: entering raises what `engine.generate` does, leaving ends them all."""
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(engine.generate(request)) for request in requests]
        # Readers are as slow as they like: the engine keeps what is not yet fetched.
        send, receive = trio.open_memory_channel[Item](BUFFERED * len(requests))
        async with open_nursery() as nursery:
            with send:
                for index, stream in enumerate(streams):
                    nursery.start_soon(_pump, index, stream, send.clone())
            yield Generations(streams, receive)
            nursery.cancel_scope.cancel()


async def _pump(index: int, stream: GenerationStream, send: trio.MemorySendChannel[Item]) -> None:
    async with send:
        try:
            async for event in stream:
                await send.send((index, event))
        except trio.BrokenResourceError:
            return
        except Exception as error:
            await send.send((index, error))


def timings_object(stream: GenerationStream) -> dict[str, float | int | None]:
    """How long a generation took, under the names that llama.cpp's server uses; `queue_ms` is ours.

    The first token comes with the prompt, so a speed of decoding needs a second one.
    """
    usage, timings = stream.usage, stream.timings
    read, decoded = usage.prompt_tokens - usage.cached_tokens, usage.completion_tokens - 1
    return {
        "cache_n": usage.cached_tokens,
        "prompt_n": read,
        "predicted_n": usage.completion_tokens,
        "queue_ms": round(timings.queue_s * 1000, 3),
        "prompt_ms": round(timings.prefill_s * 1000, 3),
        "predicted_ms": round(timings.decode_s * 1000, 3),
        "prompt_per_second": round(read / timings.prefill_s, 3) if timings.prefill_s > 0 else None,
        "predicted_per_second": round(decoded / timings.decode_s, 3) if decoded > 0 and timings.decode_s > 0 else None,
    }


def usage_object(prompts: Sequence[GenerationStream], generations: Sequence[GenerationStream]) -> dict[str, object]:
    """The `usage` of an answer: each prompt counts once (one stream of it is in `prompts`), every generated token."""
    prompt_tokens = sum(s.usage.prompt_tokens for s in prompts)
    completion_tokens = sum(s.usage.completion_tokens for s in generations)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": sum(s.usage.cached_tokens for s in prompts), "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def text_logprobs(event: TokenEvent, eog_ids: frozenset[int]) -> tuple[TokenLogprob, ...]:
    """The log-probabilities of the tokens that make up the text: the token that ended it is none of them."""
    if event.finish_reason == "stop" and event.token_id in eog_ids and event.logprobs:
        return event.logprobs[:-1] if event.logprobs[-1].token_id == event.token_id else event.logprobs
    return event.logprobs
