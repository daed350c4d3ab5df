"""POST /v1/chat/completions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from quart import Response, request

from oxillama.chat.exchange import prepare
from oxillama.server.apis.chat.answer import ChatCompletion, ChatCompletionChunk
from oxillama.server.apis.chat.messages import conversation
from oxillama.server.apis.chat.request import ChatRequest
from oxillama.server.apis.chat.writer import ChatWriter
from oxillama.server.generation.choices import nth_seed, open_choices
from oxillama.server.http import sse
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.json import now
from oxillama.storage.ids import new_id

if TYPE_CHECKING:
    from oxillama.chat.validation import Validator
    from oxillama.engine.api.types import GenerationRequest
    from oxillama.server.http.asgi import ServerRequest
    from oxillama.server.state import ServerState

api = API("chat", prefix="/v1", order=10)


@api.post(
    "/chat/completions",
    body=ChatRequest,
    answer=ChatCompletion,
    chunk=ChatCompletionChunk,
    example={"messages": [{"role": "user", "content": "Name three rivers."}]},
    generating=True,
)
async def create_chat_completion(wire: ChatRequest) -> ChatCompletion | Response:
    """Answer a conversation, whole or with `stream` as it is written."""
    # Nothing is sent before admission, so a refusal can still have its status.
    state = server_state()
    model, engine = state.check_model(wire.model), state.require_engine()
    writer = ChatWriter(
        new_id("chatcmpl", separator="-", length=29),
        now(),
        model,
        state.fingerprint,
        wire.form,
        logprobs=bool(wire.logprobs),
        include_usage=wire.include_usage,
    )
    requests, check = await _generation_requests(wire, state)
    choices = open_choices(engine, requests, check)
    if wire.stream:
        # The request keeps the choices open until the last byte is sent or the client is gone.
        opened = await cast("ServerRequest", request).stack.enter_async_context(choices)
        chunks = writer.chunks(opened, state.config.ping_interval)
        return sse.event_stream(sse.ended_by_error(chunks, state.log))
    async with choices as opened:
        return await writer.whole(opened)


async def _generation_requests(
    wire: ChatRequest, state: ServerState
) -> tuple[list[GenerationRequest], Validator | None]:
    """One request per choice, all with the same prompt, and the check of their replies. Each choice has its own seed,
    derived from the request's."""
    engine = state.require_engine()
    wire.check()
    sampling = wire.sampling(engine.tokenizer.n_vocab, max_tokens=wire.limit, logprobs=wire.n_top_logprobs)
    options = wire.options()
    messages = conversation(wire.messages)
    scope, cached = state.cache_scope(request.headers.get("Authorization")), wire.cache_prompt is not False
    async with state.admission.preparing(engine, wire.n or 1):
        exchange = await prepare(engine, messages, options, scope=scope, replay=cached)
    requests = [
        exchange.request(
            replace(sampling, seed=nth_seed(sampling.seed, index)),
            cache_prompt=cached,
            cache_scope=scope,
        )
        for index in range(wire.n or 1)
    ]
    return requests, exchange.check
