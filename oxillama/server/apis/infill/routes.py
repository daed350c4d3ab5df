"""POST /infill: llama.cpp's endpoint for editors."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from quart import Response, request

from oxillama.engine.api.types import GenerationRequest
from oxillama.engine.requests.infill import fim_of, infill_prompt
from oxillama.server.apis.infill.answer import Infill, StopType
from oxillama.server.apis.infill.request import InfillRequest
from oxillama.server.generation.choices import event_of, open_choices
from oxillama.server.generation.usage import Timings
from oxillama.server.http import sse
from oxillama.server.operation import API
from oxillama.server.state import server_state

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from oxillama.engine.api.protocol import GenerationStream
    from oxillama.engine.api.types import TokenEvent
    from oxillama.server.generation.choices import Choices, Item
    from oxillama.server.http.asgi import ServerRequest
    from oxillama.server.state import ServerState

api = API("infill", order=25)


@api.post(
    "/infill",
    body=InfillRequest,
    answer=Infill,
    chunk=Infill,
    example={"input_prefix": "def add(a, b):\n    return ", "input_suffix": "\n\nprint(add(1, 2))\n", "n_predict": 16},
    generating=True,
)
async def create_infill(wire: InfillRequest) -> Infill | Response:
    """Write the text between two others, for models that can fill in the middle. What does not fit the context is left
    out: other files first, then the beginning of the prefix and the end of the suffix."""
    # Nothing is sent before admission, so a refusal can still have its status.
    state = server_state()
    engine = state.require_engine()
    model = state.model_id if wire.model is None else state.check_model(wire.model)
    made = await _generation_request(wire, state)
    choices = open_choices(engine, [made])
    if wire.stream:
        # The request keeps the choices open until the last byte is sent or the client is gone.
        opened = await cast("ServerRequest", request).stack.enter_async_context(choices)
        chunks = _chunks(opened, model, made.sampling.stop_token_ids | engine.tokenizer.eog_ids, state)
        return sse.event_stream(sse.ended_by_error(chunks, state.log))
    ends = made.sampling.stop_token_ids | engine.tokenizer.eog_ids
    text = ""
    async with choices as opened:
        async for item in opened.items:
            _, event = event_of(item)
            text += event.text
            if event.finish_reason is not None:
                return _ended(text, event, opened.streams[0], model, ends)
    raise AssertionError("a generation ends with a finish_reason")


async def _generation_request(wire: InfillRequest, state: ServerState) -> GenerationRequest:
    engine = state.require_engine()
    wire.check()
    ends = fim_of(engine, "input_suffix").ends
    sampling = wire.sampling(engine.tokenizer.n_vocab, max_tokens=wire.limit, logprobs=None)
    async with state.admission.preparing(engine, 1):
        prompt = await infill_prompt(engine, wire.gap(), param="input_suffix", answer=wire.room(engine.n_ctx))
    return GenerationRequest(
        prompt_ids=prompt,
        sampling=replace(sampling, stop_token_ids=ends),
        cache_prompt=wire.cache_prompt is not False,
        cache_scope=state.cache_scope(request.headers.get("Authorization")),
    )


async def _chunks(
    choices: Choices, model: str, ends: frozenset[int], state: ServerState
) -> AsyncGenerator[bytes, None]:
    """The events of the stream. The last one has `stop`; as in llama.cpp's server, no `[DONE]` follows."""
    stream = choices.streams[0]

    def render(item: Item) -> bytes:
        _, event = event_of(item)
        if event.finish_reason is not None:
            return sse.event(_ended(event.text, event, stream, model, ends))
        return sse.event(Infill(content=event.text, stop=False, model=model)) if event.text else b""

    async with aclosing(sse.with_pings(choices.items, state.config.ping_interval, render)) as parts:
        async for data in parts:
            yield data


def _ended(text: str, event: TokenEvent, stream: GenerationStream, model: str, ends: frozenset[int]) -> Infill:
    """The whole answer, or the last chunk. event: the last one."""
    reason: StopType = "limit"
    if event.finish_reason == "stop":
        reason = "eos" if event.token_id in ends else "word"
    return Infill(
        content=text,
        stop=True,
        model=model,
        stop_type=reason,
        tokens_predicted=stream.usage.completion_tokens,
        tokens_evaluated=stream.usage.prompt_tokens,
        tokens_cached=stream.usage.cached_tokens,
        timings=Timings.of(stream),
    )
