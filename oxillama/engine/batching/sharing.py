"""From where on a request is computed, which other it waits for, and where checkpoints are kept for later ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oxillama.engine.batching.prefix import Idle, Match, PrefixCache

if TYPE_CHECKING:
    import numpy.typing as npt

    from oxillama.core._core import Runner
    from oxillama.engine.batching.scheduler import Scheduler
    from oxillama.engine.decoding.generation import Generation

CHECKPOINT_TOKENS = 512
"""A model whose sequences can be continued from checkpoints only gets one at least every so many tokens."""


class Sharing:
    """Between the scheduler, which knows numbers, and the prefix cache, which knows tokens."""

    def __init__(self, runner: Runner, scheduler: Scheduler, prefix: PrefixCache) -> None:
        self._runner = runner
        self._scheduler = scheduler
        self._prefix = prefix
        self.n_cached_tokens = 0

    def pages(self, generation: Generation) -> int:
        """How many pages of running requests a request would share, if it were admitted now."""
        match = self._find(generation)
        n_full = match.n // self._runner.page_size
        if match.ahead is not None or match.source is None:
            return 0
        if isinstance(match.source, Idle):
            return self._scheduler.held(self._pages(match.source.seq)[:n_full])
        return n_full

    def place(self, generation: Generation) -> None:
        """Give an admitted request the longest prefix there is, or let it wait for a longer one.

        After a pause the prefix may be its own. Raises MemoryError, and then the request must end.
        """
        assert generation.seq is None
        match = self._find(generation)
        if generation.request.cache_prompt:
            self._prefix.enter(generation)
        if match.ahead is not None:
            self._scheduler.wait(generation.ticket, match.ahead, match.until)
            return
        if match.source is not None:
            source = None if isinstance(match.source, Idle) else match.source.ticket
            generation.seq = self._prefix.take(match)
            self._scheduler.share(generation.ticket, match.n, self._pages(generation.seq), source)
        if self._scheduler.exact:
            self._plan_checkpoints(generation, match)
        self._count(generation, match.n)

    def advanced(self, generation: Generation, reached: int) -> None:
        """Note that a slice of a request was evaluated. reached: its ticket's n_reached before that."""
        if reached == generation.n_cached:  # the first of its tokens that were computed for it
            self.n_cached_tokens += generation.n_cached
        if self._scheduler.exact and generation.request.cache_prompt:
            self._checkpoint(generation)

    def _find(self, generation: Generation) -> Match:
        if not generation.may_reuse:
            return Match()
        scheduler, ticket = self._scheduler, generation.ticket
        return self._prefix.find(generation, lambda t: scheduler.may_wait(ticket, t), scheduler.worth_waiting)

    def _count(self, generation: Generation, n: int) -> None:
        """Count the first n tokens as cached, except for those that were computed for the request."""
        ticket = generation.ticket
        if ticket.n_reached == generation.n_cached:  # none was computed for it
            generation.n_cached = ticket.n_reached = n
        elif n > ticket.n_reached:  # others went further while it was paused
            gained = min(n, ticket.n_prompt) - min(ticket.n_reached, ticket.n_prompt)
            generation.n_cached += gained
            self.n_cached_tokens += gained
            ticket.n_reached = n

    def _plan_checkpoints(self, generation: Generation, match: Match) -> None:
        """Choose where a prompt's slices end, for a model whose sequences can be continued from checkpoints only.

        One is where this prompt leaves what is known: others will, too. One is shortly before its end, for the same
        prompt again, and for a next turn that does not repeat the answer as it was generated.
        """
        generation.n_saved = match.n
        if generation.seq is not None:
            self._runner.seq_checkpoint(generation.seq)
        ticket, size = generation.ticket, self._runner.page_size
        wanted = {match.common, (ticket.n_prompt - 1) // size * size} if generation.request.cache_prompt else ()
        ticket.stops = tuple(sorted(p for p in wanted if p - match.n >= self._scheduler.worth_waiting))

    def _checkpoint(self, generation: Generation) -> None:
        """Keep what continuing a sequence from its end takes, if it is a useful place."""
        ticket, n = generation.ticket, generation.ticket.n_computed
        planned = n in (ticket.n_prompt, self._scheduler.ends.get(ticket))
        if generation.seq is not None and (planned or n - generation.n_saved >= CHECKPOINT_TOKENS):
            self._runner.seq_checkpoint(generation.seq)
            generation.n_saved = n

    def _pages(self, seq: int) -> npt.NDArray[np.int32]:
        return np.array(self._runner.seq_pages(seq), np.int32)
