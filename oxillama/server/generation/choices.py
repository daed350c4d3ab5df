"""The choices of one answer. Each is one generation; all are opened and closed together and read as one stream."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from oxillama.chat.reply.message import ReplyBuilder, reason_of
from oxillama.concurrency import in_thread, open_nursery
from oxillama.engine.api.types import FinishReason, TokenEvent
from oxillama.server.generation.logprobs import text_logprobs
from oxillama.server.observe.record import current_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from oxillama.chat.validation import Validator
    from oxillama.engine.api.protocol import EngineLike, GenerationStream
    from oxillama.engine.api.types import GenerationRequest, TokenLogprob
    from oxillama.server.observe.record import RequestRecord

BUFFERED = 64  # events of a choice that may be buffered and then written together
Item = tuple[int, TokenEvent | Exception]


@dataclass(frozen=True, slots=True)
class Choices:
    """`items`: (index of the choice, its next event or the error that ended it), in order within each choice."""

    streams: Sequence[GenerationStream]
    items: trio.MemoryReceiveChannel[Item]


@dataclass(frozen=True, slots=True)
class EndedChoice:
    """One finished choice."""

    text: str
    reason: FinishReason
    logprobs: tuple[TokenLogprob, ...]


async def collect(choices: Choices, eog_ids: frozenset[int]) -> list[EndedChoice]:
    """Wait for the end of every choice. Raises the first error."""
    texts: list[list[str]] = [[] for _ in choices.streams]
    logprobs: list[list[TokenLogprob]] = [[] for _ in choices.streams]
    reasons: list[FinishReason] = ["length" for _ in choices.streams]
    async for item in choices.items:
        index, event = event_of(item)
        texts[index].append(event.text)
        logprobs[index] += text_logprobs(event, eog_ids)
        reasons[index] = event.finish_reason or reasons[index]
    return [EndedChoice("".join(texts[i]), reasons[i], tuple(logprobs[i])) for i in range(len(texts))]


def nth_seed(seed: int | None, index: int) -> int | None:
    """The seed of a choice. The first choice has the request's seed, so that its text is the same for every `n`."""
    return None if seed is None else (seed + index + 2**63) % 2**64 - 2**63


def event_of(item: Item) -> tuple[int, TokenEvent]:
    """The event in an item. Raises the error, if the item is one."""
    index, event = item
    if isinstance(event, Exception):
        raise event
    return index, event


@asynccontextmanager
async def open_choices(
    engine: EngineLike, requests: Sequence[GenerationRequest], check: Validator | None = None
) -> AsyncIterator[Choices]:
    """Queue all requests or none. Entering raises what `engine.generate` raises; leaving ends all generations.

    check: whether a whole reply matches its schemas. The record notes those that do not; they are sent all the same.
    """
    record = current_record()
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(engine.generate(request)) for request in requests]
        before = [None, *(request.prompt_ids for request in requests)]
        record.generating(
            streams,
            [s for s, request, last in zip(streams, requests, before, strict=False) if request.prompt_ids is not last],
        )
        # Readers may be slow: the engine keeps events that are not yet read.
        send, receive = trio.open_memory_channel[Item](BUFFERED * len(requests))
        async with open_nursery() as nursery:
            with send:
                for index, stream in enumerate(streams):
                    nursery.start_soon(_pump, index, stream, send.clone(), record, check)
            yield Choices(streams, receive)
            nursery.cancel_scope.cancel()


async def _pump(
    index: int,
    stream: GenerationStream,
    send: trio.MemorySendChannel[Item],
    record: RequestRecord,
    check: Validator | None,
) -> None:
    builder = ReplyBuilder()
    async with send:
        try:
            async for event in stream:
                if check is not None:
                    builder.add(event.parts)
                if (reason := reason_of(event)) is not None:
                    record.finished(reason)
                await send.send((index, event))
                if check is not None and event.finish_reason is not None:
                    record.mismatched(await in_thread(check, builder.reply(event.finish_reason)))
        except trio.BrokenResourceError:
            return
        except Exception as error:
            await send.send((index, error))
