"""One step of generation: plan, evaluate, choose, commit.

The engine's compute thread runs it for a server; `oxillama.Model` runs it in the caller's thread. Only one thread at a
time may use a stepper, except for `interrupt_if_unwanted`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from oxillama.core._core import Chooser
from oxillama.engine.api.types import TokenEvent
from oxillama.engine.batching.prefix import PrefixCache
from oxillama.engine.batching.sharing import Sharing
from oxillama.engine.constraints.filling import MaskFiller
from oxillama.engine.failures import STEP_ERRORS, readable
from oxillama.errors import GenerationError, OxillamaError, StepCancelledError

if TYPE_CHECKING:
    import numpy.typing as npt

    from oxillama.core._core import Choice, Runner
    from oxillama.engine.batching.scheduler import Scheduler
    from oxillama.engine.decoding.generation import Generation
    from oxillama.engine.ticket import Slice, Ticket

Outcome = tuple["Generation", TokenEvent | OxillamaError]
"""A generation with its next event, or with the error that ended it."""


class Stepper:
    """Runs generations on a runner. After an exception from `step` the stepper must not be used again."""

    def __init__(
        self, runner: Runner, scheduler: Scheduler, clock: Callable[[], float] = time.monotonic, *, n_kept: int = 0
    ) -> None:
        """n_kept: how many idle sequences the prefix cache keeps at most."""
        self._runner = runner
        self._masks = MaskFiller()
        self._chooser = Chooser(runner.n_vocab, runner.n_threads)
        self.scheduler = scheduler
        self.prefix = PrefixCache(runner, n_kept)
        self._sharing = Sharing(runner, scheduler, self.prefix)
        self._clock = clock
        self._generations: dict[Ticket, Generation] = {}
        self._current: tuple[Generation, ...] = ()
        self._tokens = np.empty(runner.n_batch, np.int32)
        self._outputs = np.empty(runner.n_batch, np.bool_)
        self.n_ended = self.n_prompt_tokens = self.n_generated_tokens = self.n_forced_tokens = self.n_steps = 0

    @property
    def n_cached_tokens(self) -> int:
        """Prompt tokens that were not computed, because other requests had them."""
        return self._sharing.n_cached_tokens

    @property
    def idle(self) -> bool:
        return not self._generations

    def close(self) -> None:
        """End the thread that fills masks."""
        self._masks.close()

    def add(self, generation: Generation) -> None:
        self._generations[generation.ticket] = generation
        self.scheduler.add(generation.ticket)

    def drop(self, generation: Generation, *, keep: bool = True) -> None:
        """End a generation in any state. Its pages are free at once. Dropping twice is harmless.

        keep: its keys and values are valid, so the prefix cache may keep them.
        """
        if self._generations.pop(generation.ticket, None) is None:
            return
        generation.release(self._clock())
        self.scheduler.drop(generation.ticket)
        self.n_ended += 1
        self._close(generation, keep=keep)

    def _close(self, generation: Generation, *, keep: bool) -> None:
        """Take the generation's sequence from it: close the sequence, or hand it to the prefix cache."""
        self.prefix.leave(generation)
        seq, generation.seq = generation.seq, None
        if seq is None:
            return
        if keep and generation.request.cache_prompt:
            self.prefix.keep(seq, generation.known_tokens()[: self._runner.seq_len(seq)], generation.cache_key)
        else:
            self._runner.seq_close(seq)

    def interrupt_if_unwanted(self) -> None:
        """Cancel the current step if all its generations were dropped. May be called from any thread."""
        current = self._current
        if current and all(g.dropped for g in current):
            self._runner.cancel()

    def step(self) -> list[Outcome]:
        """Evaluate one batch and return its outcomes. Generations that ended are already dropped. No-op when idle."""
        outcomes: list[Outcome] = []
        now = self._clock()
        for generation in [g for g in self._generations.values() if now > g.deadline]:
            late = GenerationError(f"the generation took longer than its {generation.limit_s:g} seconds")
            self._fail(generation, late, outcomes)
        self._admit(outcomes)
        plan = self.scheduler.plan()
        if plan:
            self._advance(plan, outcomes)
        return outcomes

    def _admit(self, outcomes: list[Outcome]) -> None:
        """Decide which requests run in the next step, and from where on."""
        self.scheduler.make_room()
        for ticket in self.scheduler.paused:
            self._close(self._generations[ticket], keep=True)
        while ready := self.scheduler.ready():  # one that fails ends the wait of those that wait for it
            for ticket in ready:
                self._place(self._generations[ticket], outcomes)
        while (found := self.scheduler.admit(lambda t: self._sharing.pages(self._generations[t]))) is not None:
            self._place(self._generations[found], outcomes)

    def _place(self, generation: Generation, outcomes: list[Outcome]) -> None:
        try:
            self._sharing.place(generation)
        except STEP_ERRORS as error:
            self._fail(generation, error, outcomes)

    def _advance(self, slices: list[Slice], outcomes: list[Outcome]) -> None:
        """Evaluate the slices together. If that fails, evaluate them one by one, so that only the faulty one fails."""
        generations = [self._generations[s.ticket] for s in slices]
        try:
            wanted = self._begin(slices, generations)
            pairs = zip(generations, slices, strict=True)
            self._masks.begin([f for g, piece in pairs if (f := g.unfilled(piece)) is not None])
            try:
                logits = self._evaluate(slices, generations)
            finally:
                self._masks.wait()
        except StepCancelledError:
            return  # nothing was appended; the next plan leaves out the dropped generations
        except STEP_ERRORS as error:
            if len(slices) == 1:
                self._fail(generations[0], error, outcomes)
            else:
                for piece in slices:
                    self._advance([piece], outcomes)
            return
        try:
            self._choose(slices, generations, wanted, logits)
        except STEP_ERRORS as error:  # of the call; a single sequence's errors are in its choices
            for generation in generations:
                self._fail(generation, error, outcomes)
            return
        now = self._clock()
        self.n_steps += 1
        for piece, generation, choices in zip(slices, generations, wanted, strict=True):
            reached = piece.ticket.n_reached
            self.scheduler.commit([piece])
            self._sharing.advanced(generation, reached)
            self.n_prompt_tokens += max(0, min(piece.ticket.n_reached, piece.ticket.n_prompt) - reached)
            self._take(generation, choices, piece, now, outcomes)

    def _begin(self, slices: list[Slice], generations: list[Generation]) -> list[list[Choice | None]]:
        """Give each generation what a step needs. Returns what to choose from each slice's rows of logits."""
        wanted = []
        for piece, generation in zip(slices, generations, strict=True):
            generation.begin(self._clock())  # does nothing after a pause
            if generation.seq is None:
                generation.seq = self._runner.seq_open()
            wanted.append(generation.choices(piece))
        return wanted

    def _evaluate(self, slices: list[Slice], generations: list[Generation]) -> npt.NDArray[np.float32]:
        tokens, outputs, at = self._tokens, self._outputs, 0
        for piece, generation in zip(slices, generations, strict=True):
            end = at + piece.count
            tokens[at:end] = generation.tokens(piece)
            outputs[at:end] = False
            outputs[end - generation.wants_rows(piece) : end] = True
            at = end
        seqs = [g.seq for g in generations if g.seq is not None]
        self._current = tuple(generations)
        try:
            return self.prefix.step(tokens[:at], seqs, [s.count for s in slices], outputs[:at])
        finally:
            self._current = ()

    def _choose(
        self,
        slices: list[Slice],
        generations: list[Generation],
        wanted: list[list[Choice | None]],
        logits: npt.NDArray[np.float32],
    ) -> None:
        """Choose from all rows, and again from those whose choice a constraint refuses."""
        rows: list[Choice | None] = [choice for choices in wanted for choice in choices]
        while any(choice is not None for choice in rows):
            self._chooser.choose(self._runner.pool, logits, rows)
            rows = []
            for piece, generation, choices in zip(slices, generations, wanted, strict=True):
                again = generation.reconsidered(choices, piece)
                rows += [*[None] * (len(choices) - 1), again][: len(choices)]
                if again is not None:
                    choices[-1] = again

    def _take(
        self,
        generation: Generation,
        choices: list[Choice | None],
        piece: Slice,
        now: float,
        outcomes: list[Outcome],
    ) -> None:
        n_forced = generation.n_forced
        try:
            events = generation.take(choices, piece, now)
        except Exception as error:
            self._fail(generation, error, outcomes)
            return
        n_forced = generation.n_forced - n_forced
        self.n_forced_tokens += n_forced
        self.scheduler.extend(piece.ticket, n_forced)
        self.n_generated_tokens += sum(event.token_id is not None for event in events)
        outcomes.extend((generation, event) for event in events)
        if events and events[-1].finish_reason is not None:
            self.drop(generation)

    def _fail(self, generation: Generation, error: Exception, outcomes: list[Outcome]) -> None:
        """End one generation with an error for its reader. The others continue."""
        self.drop(generation, keep=False)
        outcomes.append((generation, readable(error, "the generation")))
