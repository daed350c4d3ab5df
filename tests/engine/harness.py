"""Runs generations on a fake runner without an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxillama.engine.api.types import GenerationRequest, Priority, SamplingParams, TokenEvent
from oxillama.engine.batching.stepper import Stepper
from oxillama.engine.decoding.generation import Generation
from tests.support.fake_runner import FakeRunner, bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.engine.api.constraint import Constraint
    from oxillama.engine.api.reading import Reader


def request(
    prompt: tuple[int, ...] = (1, 40, 41),
    *,
    priority: Priority = Priority.INTERACTIVE,
    prompt_logprobs: int | None = None,
    cache_prompt: bool = True,
    cache_scope: str | None = None,
    constraint: Constraint | None = None,
    reader: Callable[[], Reader] | None = None,
    **sampling: Any,
) -> GenerationRequest:
    """A request with greedy sampling by default."""
    return GenerationRequest(
        prompt_ids=prompt,
        sampling=SamplingParams(**{"temperature": 0.0, **sampling}),
        priority=priority,
        prompt_logprobs=prompt_logprobs,
        cache_prompt=cache_prompt,
        cache_scope=cache_scope,
        reader=reader,
        constraint=constraint,
    )


class Bench:
    """A stepper with a fake runner, and the events of each generation."""

    def __init__(
        self,
        runner: FakeRunner | None = None,
        *,
        n_ctx: int = 64,
        n_slots: int = 4,
        text: bool = True,
        tokenizer: Any = None,
        allowance: int | None = None,
        n_kept: int = 0,
        worth_waiting: int = 4,
    ) -> None:
        self.runner = runner or FakeRunner()
        self.bundle = bundle(self.runner, n_ctx=n_ctx, n_slots=n_slots, text=text, tokenizer=tokenizer)
        self.now = 0.0
        scheduler = self.bundle.new_scheduler()
        if allowance is not None:
            scheduler.allowance = allowance
        scheduler.worth_waiting = worth_waiting
        self.stepper = Stepper(self.bundle.runner, scheduler, clock=lambda: self.now, n_kept=n_kept)
        self.events: dict[Generation, list[TokenEvent]] = {}
        self.errors: dict[Generation, Exception] = {}

    def add(self, req: GenerationRequest, *, limit_s: float = 1000.0) -> Generation:
        b = self.bundle
        g = Generation(req, b.vocabulary, b.sampling, n_ctx=b.n_ctx, now=self.now, limit_s=limit_s)
        self.events[g] = []
        self.stepper.add(g)
        return g

    def step(self) -> None:
        for g, item in self.stepper.step():
            if isinstance(item, TokenEvent):
                self.events[g].append(item)
            else:
                self.errors[g] = item

    def run(self, *requests: GenerationRequest) -> list[Generation]:
        generations = [self.add(r) for r in requests]
        while not self.stepper.idle:
            self.step()
        return generations

    def ids(self, g: Generation) -> list[int | None]:
        return [e.token_id for e in self.events[g]]

    def text(self, g: Generation) -> str:
        return "".join(e.text for e in self.events[g])
