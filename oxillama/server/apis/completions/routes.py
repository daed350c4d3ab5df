"""POST /v1/completions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from quart import Blueprint, request

from oxillama.engine.api.types import GenerationRequest
from oxillama.engine.requests.prompts import checked_prompt, text_prompt
from oxillama.server.apis.completions.logprobs import LegacyLogprobs, joined
from oxillama.server.apis.completions.request import CompletionRequest
from oxillama.server.apis.generations import collect, event_of, nth_seed, open_generations, text_logprobs, usage_object
from oxillama.server.http import sse
from oxillama.server.operation import describes
from oxillama.server.state import server_state
from oxillama.server.wire.answers import Completion
from oxillama.server.wire.bodies import read_body
from oxillama.server.wire.json import json_response, new_id, now

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from quart import Response

    from oxillama.engine.api.protocol import EngineLike
    from oxillama.engine.api.types import TokenLogprob
    from oxillama.server.access.admission import Admission
    from oxillama.server.apis.generations import Generated, Generations, Item
    from oxillama.server.http.asgi import ServerRequest

blueprint = Blueprint("completions", __name__, url_prefix="/v1")


@blueprint.post("/completions")
@describes(body=CompletionRequest, answer=Completion, chunk=Completion)
async def create_completion() -> Response:
    """Continue a text, or several, whole or with `stream` as it is written."""
    # A refusal still has its status: nothing is sent before admission.
    state = server_state()
    wire = await read_body(CompletionRequest)
    model = state.check_model(wire.model)
    engine = state.require_engine()
    prompts = await _read_prompts(wire, engine, state.admission)
    answer = CompletionAnswer(new_id("cmpl-", 29), now(), model, state.fingerprint, wire, prompts, engine)
    generations = open_generations(engine, answer.generation_requests(state.config.generation_timeout))
    if wire.stream:
        # The request owns the generations until the last byte is sent, or the client is gone.
        opened = await cast("ServerRequest", request).stack.enter_async_context(generations)
        chunks = answer.chunks(opened, state.config.ping_interval)
        return sse.event_stream(sse.ended_by_error(chunks, state.log))
    async with generations as opened:
        return json_response(await answer.whole(opened))


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt's text, as `echo` returns it, and its tokens."""

    text: str
    ids: tuple[int, ...]


async def _read_prompts(wire: CompletionRequest, engine: EngineLike, admission: Admission) -> list[Prompt]:
    wire.check()
    given = wire.prompts(engine.tokenizer.n_vocab, engine.n_ctx)
    prompts = []
    async with admission.preparing(engine, len(given) * wire.candidates):
        for prompt in given:
            if isinstance(prompt, str):
                prompts.append(Prompt(prompt, await text_prompt(engine, prompt)))
            else:
                text = engine.tokenizer.decode(prompt).decode("utf-8", "replace")
                prompts.append(Prompt(text, checked_prompt(engine, prompt, "prompt")))
    return prompts


@dataclass(frozen=True, slots=True)
class CompletionAnswer:
    """One answer, whole or in chunks. Each prompt has its `candidates`, one generation each, prompt by prompt."""

    id: str
    created: int
    model: str
    fingerprint: str
    wire: CompletionRequest
    prompts: Sequence[Prompt]
    engine: EngineLike

    def generation_requests(self, deadline_s: float) -> list[GenerationRequest]:
        """One for each candidate of each prompt; a seed gives each candidate of a prompt its own."""
        wire = self.wire
        logprobs = 0 if self._ranks and wire.logprobs is None else wire.logprobs
        n_vocab = self.engine.tokenizer.n_vocab
        sampling = wire.sampling(n_vocab, max_tokens=wire.limit, logprobs=logprobs)
        return [
            GenerationRequest(
                prompt_ids=prompt.ids,
                sampling=replace(sampling, seed=nth_seed(sampling.seed, index)),
                cache_prompt=wire.cache_prompt is not False,
                prompt_logprobs=wire.logprobs if wire.echo else None,
                deadline_s=deadline_s,
            )
            for prompt in self.prompts
            for index in range(wire.candidates)
        ]

    async def whole(self, generations: Generations) -> dict[str, Any]:
        """The `text_completion` object, when every choice has ended."""
        generated = await collect(generations, self.engine.tokenizer.eog_ids)
        choices: list[dict[str, Any]] = []
        for at, prompt in enumerate(self.prompts):
            first = at * self.wire.candidates
            candidates = generated[first : first + self.wire.candidates]
            if self._ranks:
                candidates.sort(key=mean_logprob, reverse=True)
            for best in candidates[: self.wire.n or 1]:
                of_prompt = generations.streams[first].prompt_logprobs
                choices.append(self._choice(len(choices), prompt, best, of_prompt))
        return self._object(choices) | {"usage": self._usage(generations)}

    async def chunks(self, generations: Generations, ping_interval: float) -> AsyncGenerator[bytes, None]:
        """The events of the stream: a chunk for each choice at once, its text as it comes, the usage."""
        wire, count = self.wire, len(generations.streams)
        eog_ids = self.engine.tokenizer.eog_ids
        prompts = [self.prompts[index // wire.candidates] for index in range(count)]
        builders = [self._logprobs_from(prompt) for prompt in prompts]
        # The log-probabilities of an echoed prompt are there with the first event, and the prompt waits for them.
        echo_later = set(range(count)) if wire.echo and wire.logprobs is not None else set()

        def echo(index: int) -> bytes:
            echo_later.discard(index)
            of_prompt = generations.streams[index].prompt_logprobs
            entries = builders[index].of_prompt(prompts[index].ids, of_prompt, self.engine.tokenizer.token_bytes)
            return self._chunk(index, prompts[index].text, entries)

        def render(item: Item) -> bytes:
            index, event = event_of(item)
            head = echo(index) if index in echo_later else b""
            logprobs = text_logprobs(event, eog_ids) if wire.logprobs is not None else ()
            if not (event.text or logprobs or event.finish_reason):
                return head
            entries = builders[index].of_text(logprobs) if logprobs else None
            return head + self._chunk(index, event.text, entries, event.finish_reason)

        for index in range(count):
            yield self._chunk(index, prompts[index].text if wire.echo and not echo_later else "")
        async for data in sse.with_pings(generations.items, ping_interval, render):
            yield data
        if wire.include_usage:
            yield sse.event(self._object([]) | {"usage": self._usage(generations)})
        yield sse.DONE

    @property
    def _ranks(self) -> bool:
        return self.wire.candidates > (self.wire.n or 1)

    def _logprobs_from(self, prompt: Prompt) -> LegacyLogprobs:
        """Echoed tokens end where the prompt's text does, which may lack a blank that the first of them begins with."""
        length = len(prompt.text)
        if self.wire.echo:
            spelled = b"".join(map(self.engine.tokenizer.token_bytes, prompt.ids)).decode("utf-8", "replace")
            length -= len(spelled)
        return LegacyLogprobs(self.wire.logprobs or 0, length)

    def _choice(
        self, index: int, prompt: Prompt, generated: Generated, of_prompt: Sequence[TokenLogprob | None]
    ) -> dict[str, Any]:
        entries = None
        if self.wire.logprobs is not None:
            builder = self._logprobs_from(prompt)
            echoed = prompt.ids if self.wire.echo else ()
            before = builder.of_prompt(echoed, of_prompt, self.engine.tokenizer.token_bytes)
            entries = joined(before, builder.of_text(generated.logprobs))
        text = prompt.text + generated.text if self.wire.echo else generated.text
        return {"text": text, "index": index, "logprobs": entries, "finish_reason": generated.reason}

    def _chunk(self, index: int, text: str, entries: Any = None, reason: str | None = None) -> bytes:
        chunk = self._object([{"text": text, "index": index, "logprobs": entries, "finish_reason": reason}])
        # With usage asked for, every chunk but the last says null; without, none may have the key.
        return sse.event(chunk | {"usage": None} if self.wire.include_usage else chunk)

    def _usage(self, generations: Generations) -> dict[str, Any]:
        return usage_object(generations.streams[:: self.wire.candidates], generations.streams)

    def _object(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        }


def mean_logprob(generated: Generated) -> float:
    """What `best_of` ranks by: the mean over the tokens, so that longer texts are not worse for it."""
    values = [lp.logprob for lp in generated.logprobs]
    mean = sum(values) / len(values) if values else 0.0
    return mean if math.isfinite(mean) else -math.inf
