"""POST /v1/completions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from quart import Response, request

from oxillama.chat import text_constraint
from oxillama.engine.api.types import GenerationRequest
from oxillama.engine.requests.infill import Gap, fim_of, infill_prompt
from oxillama.engine.requests.prompts import prompt_ids
from oxillama.server.apis.completions.answer import Completion
from oxillama.server.apis.completions.request import CompletionRequest
from oxillama.server.apis.completions.writer import CompletionWriter, Prompt
from oxillama.server.generation.choices import nth_seed, open_choices
from oxillama.server.http import sse
from oxillama.server.operation import API
from oxillama.server.state import server_state
from oxillama.server.wire.json import now
from oxillama.storage.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxillama.engine.api.constraint import Constraint
    from oxillama.engine.api.protocol import EngineLike
    from oxillama.server.access.admission import Admission
    from oxillama.server.http.asgi import ServerRequest

api = API("completions", prefix="/v1", order=20)


@api.post(
    "/completions",
    body=CompletionRequest,
    answer=Completion,
    chunk=Completion,
    example={"prompt": "Once upon a time", "max_tokens": 32},
    generating=True,
)
async def create_completion(wire: CompletionRequest) -> Completion | Response:
    """Continue a text, or several, whole or with `stream` as it is written. With `suffix`, write what is before it."""
    # Nothing is sent before admission, so a refusal can still have its status.
    state = server_state()
    model, engine = state.check_model(wire.model), state.require_engine()
    prompts = await _read_prompts(wire, engine, state.admission)
    asked = wire.answer_format
    constraint = None if asked is None else await text_constraint(engine, asked)
    id_ = new_id("cmpl", separator="-", length=29)
    writer = CompletionWriter(id_, now(), model, state.fingerprint, wire, prompts, engine.tokenizer)
    scope = state.cache_scope(request.headers.get("Authorization"))
    choices = open_choices(engine, _generation_requests(wire, prompts, engine, scope, constraint))
    if wire.stream:
        # The request keeps the choices open until the last byte is sent or the client is gone.
        opened = await cast("ServerRequest", request).stack.enter_async_context(choices)
        chunks = writer.chunks(opened, state.config.ping_interval)
        return sse.event_stream(sse.ended_by_error(chunks, state.log))
    async with choices as opened:
        return await writer.whole(opened)


async def _read_prompts(wire: CompletionRequest, engine: EngineLike, admission: Admission) -> list[Prompt]:
    wire.check()
    given = wire.prompts(engine.tokenizer.n_vocab, engine.n_ctx)
    prompts = []
    if wire.suffix:
        fim_of(engine, "suffix")
    async with admission.preparing(engine, len(given) * wire.candidates):
        for prompt in given:
            text = prompt if isinstance(prompt, str) else engine.tokenizer.decode(prompt).decode("utf-8", "replace")
            if wire.suffix:
                ids = await infill_prompt(engine, Gap(prefix=prompt, suffix=wire.suffix), param="suffix")
            else:
                ids = await prompt_ids(engine, prompt) if isinstance(prompt, str) else prompt
            prompts.append(Prompt(text, ids))
    return prompts


def _generation_requests(
    wire: CompletionRequest,
    prompts: Sequence[Prompt],
    engine: EngineLike,
    scope: str | None,
    constraint: Constraint | None,
) -> list[GenerationRequest]:
    """One request per candidate of each prompt. Each candidate gets a seed of its own, derived from the request's."""
    logprobs = 0 if wire.ranks and wire.logprobs is None else wire.logprobs
    sampling = wire.sampling(engine.tokenizer.n_vocab, max_tokens=wire.limit, logprobs=logprobs)
    if wire.suffix:
        sampling = replace(sampling, stop_token_ids=fim_of(engine, "suffix").ends)
    return [
        GenerationRequest(
            prompt_ids=prompt.ids,
            sampling=replace(sampling, seed=nth_seed(sampling.seed, index)),
            cache_prompt=wire.cache_prompt is not False,
            cache_scope=scope,
            prompt_logprobs=wire.logprobs if wire.echo else None,
            constraint=constraint,
        )
        for prompt in prompts
        for index in range(wire.candidates)
    ]
