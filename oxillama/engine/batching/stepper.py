"""The one loop body that turns requests into tokens: plan, evaluate, choose, commit.

The engine's compute thread runs it for a server; `oxillama.Model` runs it in the caller's own thread. One thread at a
time, except `interrupt_if_unwanted`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from oxillama.engine.api.types import TokenEvent
from oxillama.engine.batching.prefix import PrefixCache
from oxillama.errors import (
    GenerationError,
    InvalidParameterError,
    KVCacheFullError,
    OxillamaError,
    StepCancelledError,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from oxillama.core._core import Runner
    from oxillama.engine.batching.scheduler import Scheduler
    from oxillama.engine.decoding.generation import Generation
    from oxillama.engine.ticket import Slice, Ticket

log = logging.getLogger(__name__)

Outcome = tuple["Generation", TokenEvent | OxillamaError]
"""A generation's next event, or the error that ended it."""

_STEP_ERRORS = (GenerationError, InvalidParameterError, KVCacheFullError, MemoryError)
"""What one sequence can do to a step; anything else is the engine's own failure."""


class Stepper:
    """Runs generations on a runner. After an exception from `step` nothing here may be used again."""

    def __init__(
        self, runner: Runner, scheduler: Scheduler, clock: Callable[[], float] = time.monotonic, *, n_kept: int = 0
    ) -> None:
        """n_kept: how many sequences of ended requests may wait for requests that begin alike."""
        self._runner = runner
        self.scheduler = scheduler
        self.kept = PrefixCache(runner, n_kept)
        self._clock = clock
        self._generations: dict[Ticket, Generation] = {}
        self._current: tuple[Generation, ...] = ()
        self._tokens = np.empty(runner.n_batch, np.int32)
        self._outputs = np.empty(runner.n_batch, np.bool_)
        self.n_ended = self.n_prompt_tokens = self.n_generated_tokens = self.n_steps = 0

    @property
    def idle(self) -> bool:
        return not self._generations

    def add(self, generation: Generation) -> None:
        self._generations[generation.ticket] = generation
        self.scheduler.add(generation.ticket)

    def drop(self, generation: Generation, *, keep: bool = True) -> None:
        """End it from any state; its pages are free at once. Dropping twice is harmless.

        keep: what it has computed is sound, and may serve a request that begins alike.
        """
        if self._generations.pop(generation.ticket, None) is None:
            return
        generation.release(self._clock())
        self.scheduler.drop(generation.ticket)
        self.n_ended += 1
        self._close(generation, keep=keep)

    def _close(self, generation: Generation, *, keep: bool) -> None:
        """Take its place in the cache from it. What it has computed may stay until the room is needed."""
        seq, generation.seq = generation.seq, None
        if seq is None:
            return
        if keep and generation.request.cache_prompt:
            self.kept.keep(seq, generation.known_tokens()[: self._runner.seq_len(seq)])
        else:
            self._runner.seq_close(seq)

    def interrupt_if_unwanted(self) -> None:
        """Cut the current step short if all its generations were dropped. May be called from any thread."""
        current = self._current
        if current and all(g.dropped for g in current):
            self._runner.cancel()

    def step(self) -> list[Outcome]:
        """Evaluate one batch; generations that ended have been dropped when it returns. Does nothing when idle."""
        outcomes: list[Outcome] = []
        now = self._clock()
        for generation in [g for g in self._generations.values() if now > g.deadline]:
            late = GenerationError(f"the generation took longer than its {generation.limit_s:g} seconds")
            self._fail(generation, late, outcomes)
        admitted = self.scheduler.admit()
        for ticket in self.scheduler.paused:
            self._close(self._generations[ticket], keep=True)
        for ticket in admitted:
            self._find_prefix(self._generations[ticket])
        plan = self.scheduler.plan()
        if plan:
            self._advance(plan, outcomes)
        return outcomes

    def _find_prefix(self, generation: Generation) -> None:
        """Begin a request that has just been admitted where an earlier one that began alike, or itself, has come to."""
        if not generation.may_reuse:
            return
        found = None
        with suppress(MemoryError):  # then it is computed like any other
            found = self.kept.take(generation.known_tokens())
        if found is not None:
            ticket = generation.ticket
            generation.seq, ticket.n_computed = found
            if not ticket.n_reached:
                generation.n_cached = ticket.n_computed
            ticket.n_reached = max(ticket.n_reached, ticket.n_computed)

    def _advance(self, slices: list[Slice], outcomes: list[Outcome]) -> None:
        """Evaluate the slices together or, if that fails, one by one, so that only the one at fault fails."""
        generations = [self._generations[s.ticket] for s in slices]
        try:
            logits = self._evaluate(slices, generations)
        except StepCancelledError:
            return  # nothing was appended; the next plan leaves the dropped ones out
        except _STEP_ERRORS as error:
            if len(slices) == 1:
                self._fail(generations[0], error, outcomes)
            else:
                for piece in slices:
                    self._advance([piece], outcomes)
            return
        now, row = self._clock(), 0
        self.n_steps += 1
        for piece, generation in zip(slices, generations, strict=True):
            rows = logits[row : row + generation.wants_rows(piece)]
            row += len(rows)
            reached = piece.ticket.n_reached
            self.scheduler.commit([piece])
            self.n_prompt_tokens += max(0, min(piece.ticket.n_reached, piece.ticket.n_prompt) - reached)
            self._take(generation, rows, piece, now, outcomes)

    def _evaluate(self, slices: list[Slice], generations: list[Generation]) -> npt.NDArray[np.float32]:
        tokens, outputs, at = self._tokens, self._outputs, 0
        for piece, generation in zip(slices, generations, strict=True):
            generation.begin(self._clock())  # which does nothing if it was only paused
            if generation.seq is None:
                generation.seq = self._runner.seq_open()
            end = at + piece.count
            tokens[at:end] = generation.tokens(piece)
            outputs[at:end] = False
            outputs[end - generation.wants_rows(piece) : end] = True
            at = end
        seqs = [g.seq for g in generations if g.seq is not None]
        self._current = tuple(generations)
        try:
            return self._step_with_room(tokens[:at], seqs, [s.count for s in slices], outputs[:at])
        finally:
            self._current = ()

    def _step_with_room(
        self, tokens: npt.NDArray[np.int32], seqs: list[int], counts: list[int], outputs: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float32]:
        """A step for which kept sequences make way: the pages of all that runs were set aside without them."""
        while True:
            try:
                return self._runner.step(tokens, seqs, counts, outputs)
            except KVCacheFullError:
                if not self.kept.evict():
                    raise

    def _take(
        self, generation: Generation, rows: npt.NDArray[np.float32], piece: Slice, now: float, outcomes: list[Outcome]
    ) -> None:
        try:
            event = generation.take(rows, piece, now)
        except Exception as error:
            self._fail(generation, error, outcomes)
            return
        if event is None:
            return
        self.n_generated_tokens += event.token_id is not None
        outcomes.append((generation, event))
        if event.finish_reason is not None:
            self.drop(generation)

    def _fail(self, generation: Generation, error: Exception, outcomes: list[Outcome]) -> None:
        """End one generation with an error its reader can show; others do not notice."""
        self.drop(generation, keep=False)
        if not isinstance(error, OxillamaError):
            log.error("a generation failed", exc_info=error)
            reason = GenerationError(f"the generation failed: {type(error).__name__}: {error}")
            reason.__cause__ = error
            error = reason
        outcomes.append((generation, error))
