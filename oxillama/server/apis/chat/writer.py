"""POST /v1/chat/completions: from the choices' events to the answer, whole or in chunks."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from oxillama.chat.reply.events import Ended
from oxillama.chat.reply.message import Reply, ReplyBuilder, reason_of
from oxillama.server.apis.chat.answer import (
    ChatChoice,
    ChatChunkChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChatDelta,
    ChatFinishReason,
    ChatLogprobs,
    ChatTokenLogprob,
    TopLogprob,
)
from oxillama.server.generation.choices import event_of
from oxillama.server.generation.logprobs import finite
from oxillama.server.generation.usage import Timings, Usage
from oxillama.server.http import sse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from oxillama.engine.api.types import TokenEvent, TokenLogprob
    from oxillama.server.apis.chat.parts import MessageForm
    from oxillama.server.generation.choices import Choices, Item


@dataclass(frozen=True, slots=True)
class ChatWriter:
    """Writes one answer. All its chunks have the same id, time and model.

    form: what its messages are like. logprobs, include_usage: whether they were asked for.
    """

    id: str
    created: int
    model: str
    fingerprint: str
    form: MessageForm
    logprobs: bool
    include_usage: bool

    async def whole(self, choices: Choices) -> ChatCompletion:
        """The answer when every choice has ended. Raises the first error."""
        builders = [ReplyBuilder() for _ in choices.streams]
        logprobs: list[list[TokenLogprob]] = [[] for _ in choices.streams]
        replies = [Reply() for _ in choices.streams]
        async for item in choices.items:
            index, event = event_of(item)
            builders[index].add(event.parts)
            logprobs[index] += event.logprobs
            if event.finish_reason is not None:
                replies[index] = builders[index].reply(event.finish_reason)
        return ChatCompletion(
            id=self.id,
            created=self.created,
            model=self.model,
            system_fingerprint=self.fingerprint,
            choices=[
                ChatChoice(
                    index=index,
                    message=self.form.message(reply),
                    logprobs=_logprobs(logprobs[index], reply.content_tokens) if self.logprobs else None,
                    finish_reason=self.form.reason(reply.finish_reason),
                )
                for index, reply in enumerate(replies)
            ],
            usage=self._usage(choices, sum(reply.reasoning_tokens for reply in replies)),
            timings=Timings.of(choices.streams[0]),
        )

    async def chunks(self, choices: Choices, ping_interval: float) -> AsyncGenerator[bytes, None]:
        """The events of the stream: the role of each choice first, then its parts as they are generated, its finish
        reason, and the usage."""
        logprobs: list[list[TokenLogprob]] = [[] for _ in choices.streams]
        n_reasoning = 0

        def render(item: Item) -> bytes:
            nonlocal n_reasoning
            index, event = event_of(item)
            logprobs[index] += event.logprobs
            n_reasoning += sum(part.reasoning_tokens for part in event.parts if isinstance(part, Ended))
            return self._event(index, event, logprobs[index])

        for index in range(len(choices.streams)):
            yield self._chunk(index, self.form.first_delta())
        async with aclosing(sse.with_pings(choices.items, ping_interval, render)) as parts:
            async for data in parts:
                yield data
        if self.include_usage:
            yield sse.event(
                ChatCompletionChunk(
                    id=self.id,
                    created=self.created,
                    model=self.model,
                    system_fingerprint=self.fingerprint,
                    choices=[],
                    usage=self._usage(choices, n_reasoning),
                    timings=Timings.of(choices.streams[0]),
                )
            )
        yield sse.DONE

    def _event(self, index: int, event: TokenEvent, logprobs: Sequence[TokenLogprob]) -> bytes:
        """The chunks of one event: one for each part, and the finish reason. logprobs: of all tokens so far."""
        chunks = [
            self._chunk(index, delta, _logprobs(logprobs, tokens) if self.logprobs and tokens else None)
            for delta, tokens in self.form.deltas(event.parts)
        ]
        if (reason := reason_of(event)) is not None:
            chunks.append(self._chunk(index, ChatDelta(), reason=self.form.reason(reason)))
        return b"".join(chunks)

    def _usage(self, choices: Choices, n_reasoning: int) -> Usage:
        return Usage.of(choices.streams[:1], choices.streams, reasoning_tokens=n_reasoning)

    def _chunk(
        self, index: int, delta: ChatDelta, logprobs: ChatLogprobs | None = None, reason: ChatFinishReason | None = None
    ) -> bytes:
        choice = ChatChunkChoice(index=index, delta=delta, logprobs=logprobs, finish_reason=reason)
        return sse.event(
            ChatCompletionChunk(
                id=self.id,
                created=self.created,
                model=self.model,
                system_fingerprint=self.fingerprint,
                choices=[choice],
                # If usage was requested, it is null in every chunk but the last. If not, no chunk may have the key.
                usage=None if self.include_usage else msgspec.UNSET,
            )
        )


def _logprobs(known: Sequence[TokenLogprob], tokens: Sequence[int]) -> ChatLogprobs:
    """known: of the reply's tokens in order. tokens: the numbers of those that are wanted."""
    return ChatLogprobs(content=[_logprob(known[token]) for token in tokens])


def _logprob(token: TokenLogprob) -> ChatTokenLogprob:
    return ChatTokenLogprob(
        token=_text(token.piece),
        logprob=finite(token.logprob),
        bytes=list(token.piece),
        top_logprobs=[
            TopLogprob(token=_text(piece), logprob=finite(logprob), bytes=list(piece))
            for _, piece, logprob in token.top
        ],
    )


def _text(piece: bytes) -> str:
    return piece.decode("utf-8", "replace")
