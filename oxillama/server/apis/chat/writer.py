"""POST /v1/chat/completions: from the choices' events to the answer, whole or in chunks."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from oxillama.server.apis.chat.answer import (
    ChatChoice,
    ChatChunkChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChatDelta,
    ChatLogprobs,
    ChatMessage,
    ChatTokenLogprob,
    TopLogprob,
)
from oxillama.server.generation.choices import collect, event_of
from oxillama.server.generation.logprobs import finite, text_logprobs
from oxillama.server.generation.usage import Timings, Usage
from oxillama.server.http import sse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from oxillama.engine.api.types import FinishReason, TokenEvent, TokenLogprob
    from oxillama.server.generation.choices import Choices, Item


@dataclass(frozen=True, slots=True)
class ChatWriter:
    """Writes one answer. All its chunks have the same id, time and model.

    eog_ids: the tokens that end a generation. logprobs, include_usage: whether they were asked for.
    """

    id: str
    created: int
    model: str
    fingerprint: str
    eog_ids: frozenset[int]
    logprobs: bool
    include_usage: bool

    async def whole(self, choices: Choices) -> ChatCompletion:
        """The answer when every choice has ended."""
        ended = await collect(choices, self.eog_ids)
        return ChatCompletion(
            id=self.id,
            created=self.created,
            model=self.model,
            system_fingerprint=self.fingerprint,
            choices=[
                ChatChoice(
                    index=index,
                    message=ChatMessage(content=one.text),
                    logprobs=_logprobs(one.logprobs) if self.logprobs else None,
                    finish_reason=one.reason,
                )
                for index, one in enumerate(ended)
            ],
            usage=Usage.of(choices.streams[:1], choices.streams),
            timings=Timings.of(choices.streams[0]),
        )

    async def chunks(self, choices: Choices, ping_interval: float) -> AsyncGenerator[bytes, None]:
        """The events of the stream: the role of each choice first, then its text as it is generated, its finish reason,
        and the usage."""

        def render(item: Item) -> bytes:
            index, event = event_of(item)
            return self.text_chunk(index, event) + self._last_chunk(index, event)

        for index in range(len(choices.streams)):
            yield self._chunk(index, ChatDelta(role="assistant", content="", refusal=None))
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
                    usage=Usage.of(choices.streams[:1], choices.streams),
                    timings=Timings.of(choices.streams[0]),
                )
            )
        yield sse.DONE

    def text_chunk(self, index: int, event: TokenEvent) -> bytes:
        """The chunk with an event's text; empty if there is none."""
        tokens = text_logprobs(event, self.eog_ids) if self.logprobs else ()
        if not event.text and not tokens:
            return b""
        return self._chunk(index, ChatDelta(content=event.text), _logprobs(tokens) if tokens else None)

    def _last_chunk(self, index: int, event: TokenEvent) -> bytes:
        return b"" if event.finish_reason is None else self._chunk(index, ChatDelta(), reason=event.finish_reason)

    def _chunk(
        self, index: int, delta: ChatDelta, logprobs: ChatLogprobs | None = None, reason: FinishReason | None = None
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


def _logprobs(tokens: Sequence[TokenLogprob]) -> ChatLogprobs:
    return ChatLogprobs(content=[_logprob(token) for token in tokens])


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
