"""POST /v1/chat/completions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from quart import Blueprint, request

from oxillama.engine.api.types import GenerationRequest
from oxillama.engine.requests.prompts import chat_prompt
from oxillama.server.apis.chat.messages import template_messages
from oxillama.server.apis.chat.request import ChatRequest
from oxillama.server.apis.generations import (
    collect,
    event_of,
    nth_seed,
    open_generations,
    text_logprobs,
    timings_object,
    usage_object,
)
from oxillama.server.http import sse
from oxillama.server.operation import describes
from oxillama.server.state import server_state
from oxillama.server.wire.answers import ChatCompletion, ChatCompletionChunk
from oxillama.server.wire.bodies import read_body
from oxillama.server.wire.json import json_response, new_id, now

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from quart import Response

    from oxillama.engine.api.protocol import EngineLike
    from oxillama.engine.api.types import TokenEvent, TokenLogprob
    from oxillama.server.apis.generations import Generations, Item
    from oxillama.server.http.asgi import ServerRequest
    from oxillama.server.state import ServerState

blueprint = Blueprint("chat", __name__, url_prefix="/v1")

UNLIKELY = -9999.0  # the wire's word for a probability of nothing


@blueprint.post("/chat/completions")
@describes(body=ChatRequest, answer=ChatCompletion, chunk=ChatCompletionChunk)
async def create_chat_completion() -> Response:
    """Answer a conversation, whole or with `stream` as it is written."""
    # A refusal still has its status: nothing is sent before admission.
    state = server_state()
    wire = await read_body(ChatRequest)
    answer = ChatAnswer(new_id("chatcmpl-", 29), now(), state.check_model(wire.model), state.fingerprint, wire)
    generations = open_generations(state.require_engine(), await _generation_requests(wire, state))
    if wire.stream:
        # The request owns the generations until the last byte is sent, or the client is gone.
        opened = await cast("ServerRequest", request).stack.enter_async_context(generations)
        chunks = answer.chunks(opened, state.require_engine(), state.config.ping_interval)
        return sse.event_stream(sse.ended_by_error(chunks, state.log))
    async with generations as opened:
        return json_response(await answer.whole(opened, state.require_engine()))


async def _generation_requests(wire: ChatRequest, state: ServerState) -> list[GenerationRequest]:
    """One request for each choice, all with the same prompt; a seed gives each choice its own."""
    engine = state.require_engine()
    wire.check()
    sampling = wire.sampling(engine.tokenizer.n_vocab, max_tokens=wire.limit, logprobs=wire.n_top_logprobs)
    values = wire.template_values()
    messages = template_messages(wire.messages)
    async with state.admission.preparing(engine, wire.n or 1):
        prompt = await chat_prompt(engine, messages, **values)
    return [
        GenerationRequest(
            prompt_ids=prompt,
            sampling=replace(sampling, seed=nth_seed(sampling.seed, index)),
            cache_prompt=wire.cache_prompt is not False,
            deadline_s=state.config.generation_timeout,
        )
        for index in range(wire.n or 1)
    ]


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """One answer, whole or in chunks; both carry the same id, time and model throughout."""

    id: str
    created: int
    model: str
    fingerprint: str
    wire: ChatRequest

    async def whole(self, generations: Generations, engine: EngineLike) -> dict[str, Any]:
        """The `chat.completion` object, when every choice has ended."""
        choices: list[dict[str, Any]] = [
            {
                "index": index,
                "message": {"role": "assistant", "content": one.text, "refusal": None, "annotations": []},
                "logprobs": _logprobs(one.logprobs) if self.wire.logprobs else None,
                "finish_reason": one.reason,
            }
            for index, one in enumerate(await collect(generations, engine.tokenizer.eog_ids))
        ]
        usage = usage_object(generations.streams[:1], generations.streams)
        return self._object("chat.completion", choices) | {
            "usage": usage,
            "timings": timings_object(generations.streams[0]),
        }

    async def chunks(
        self, generations: Generations, engine: EngineLike, ping_interval: float
    ) -> AsyncGenerator[bytes, None]:
        """The events of the stream: the role of each choice at once, its text as it comes, its reason, the usage."""
        eog_ids = engine.tokenizer.eog_ids

        def render(item: Item) -> bytes:
            index, event = event_of(item)
            return self._text_chunk(index, event, eog_ids) + self._last_chunk(index, event)

        for index in range(len(generations.streams)):
            yield self._chunk(index, {"role": "assistant", "content": "", "refusal": None})
        async for data in sse.with_pings(generations.items, ping_interval, render):
            yield data
        if self.wire.include_usage:
            usage = usage_object(generations.streams[:1], generations.streams)
            cost = {"usage": usage, "timings": timings_object(generations.streams[0])}
            yield sse.event(self._object("chat.completion.chunk", []) | cost)
        yield sse.DONE

    def _text_chunk(self, index: int, event: TokenEvent, eog_ids: frozenset[int]) -> bytes:
        tokens = text_logprobs(event, eog_ids) if self.wire.logprobs else ()
        if not event.text and not tokens:
            return b""
        return self._chunk(index, {"content": event.text}, logprobs=_logprobs(tokens) if tokens else None)

    def _last_chunk(self, index: int, event: TokenEvent) -> bytes:
        return b"" if event.finish_reason is None else self._chunk(index, {}, reason=event.finish_reason)

    def _chunk(
        self,
        index: int,
        delta: dict[str, Any],
        *,
        logprobs: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        chunk = self._object("chat.completion.chunk", [choice])
        # With usage asked for, every chunk but the last says null; without, none may have the key.
        return sse.event(chunk | {"usage": None} if self.wire.include_usage else chunk)

    def _object(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        }


def _logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    return {"content": [_logprob(token) for token in tokens], "refusal": None}


def _logprob(token: TokenLogprob) -> dict[str, Any]:
    top = [_token(piece, logprob) for _, piece, logprob in token.top]
    return _token(token.piece, token.logprob) | {"top_logprobs": top}


def _token(piece: bytes, logprob: float) -> dict[str, Any]:
    """`bytes` matters where a token is not whole UTF-8."""
    finite = logprob if math.isfinite(logprob) else UNLIKELY
    return {"token": piece.decode("utf-8", "replace"), "logprob": finite, "bytes": list(piece)}
