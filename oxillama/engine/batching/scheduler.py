"""Which requests run in the next step: pure decisions, without clock, channel, thread or model.

Three verbs move a ticket: `add` queues it, `plan` admits it and cuts the next step, `commit` records that the step was
evaluated. `drop` ends it from any state and frees what it held. `admit` is the first half of `plan`. Between the two a
caller may mark tokens of a newly admitted ticket as computed.

Pages. Most requests could grow to the whole context, and few do. So no pages are reserved for that. A ticket is
admitted with pages for the tokens it has and ALLOWANCE more, provided that one page stays free for each running ticket
that may still grow. After that it takes a page whenever it needs one. When none is left, the ticket of lowest rank is
paused: its pages become free, its tokens stay known, and it waits at the head of its queue. When it is admitted again,
it evaluates its tokens again. Its text does not show this, because a token's logits do not depend on how its sequence
was cut into steps.

Rank is the order of arrival, except that background tickets paused fewer than YIELDS times rank behind all others.
Pages are only ever taken from tickets of lower rank, and a single ticket always fits. So the first in rank always runs
to its end, and then the next one is first.

Order. Interactive tickets go first, each class in order of arrival. No ticket overtakes the next in line for lack of
pages, so large requests do not starve. Nor does background work: a ticket that was passed over PATIENCE times takes the
next turn. Background tickets hold at most all slots but one, where there is more than one.

Steps. Every decoding ticket takes one token. The rest of the budget goes to prefill, shared evenly, so that a short
prompt is not stuck behind a long one. While any ticket decodes, prefill gets at most `n_prefill_shared` tokens a step,
because every ticket waits for the whole step.
"""

from __future__ import annotations

import itertools
from collections import deque

from oxillama.engine.api.types import Priority
from oxillama.engine.ticket import Slice, Ticket, TicketState

PATIENCE = 16
"""How many interactive tickets may pass the first background ticket that waits."""

ALLOWANCE = 256
"""Tokens, beyond those it has, for which a ticket gets pages when it is admitted: it should get some way before it is
paused, since pausing costs evaluating its tokens again."""

BACKGROUND_SHARE = 8
"""1/BACKGROUND_SHARE of a step's prefill is left to background tickets while interactive ones could use it all."""


class Scheduler:
    """The scheduler of the module's docstring. Not thread-safe.

    n_slots: most tickets that run at once. n_pages: pages of the KV cache. page_size: tokens of a page. n_batch: most
    tokens of a step. n_prefill_shared: most prompt tokens of a step while any ticket decodes; None: n_batch. allowance:
    see ALLOWANCE.
    """

    def __init__(
        self,
        *,
        n_slots: int,
        n_pages: int,
        page_size: int,
        n_batch: int,
        n_prefill_shared: int | None = None,
        allowance: int = ALLOWANCE,
    ) -> None:
        if not 1 <= n_slots <= n_batch:
            raise ValueError(f"{n_slots} slots do not fit a batch of {n_batch} tokens")
        self.n_slots = n_slots
        self.n_pages = n_pages
        self.page_size = page_size
        self.n_batch = n_batch
        self.n_prefill_shared = n_batch if n_prefill_shared is None else max(1, n_prefill_shared)
        self.allowance = allowance
        self.free_pages = n_pages
        self.paused: list[Ticket] = []  # by the last `admit`; their sequences must be closed before the step
        self.n_paused = 0
        self._arrivals = itertools.count()
        self._waiting: dict[Priority, deque[Ticket]] = {priority: deque() for priority in Priority}
        self._active: list[Ticket] = []  # in order of admission

    @property
    def n_active(self) -> int:
        return len(self._active)

    @property
    def n_waiting(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    def pages_for(self, n_tokens: int) -> int:
        return -(-n_tokens // self.page_size)

    def add(self, ticket: Ticket) -> None:
        """Queue a ticket. Raises ValueError if it could never be admitted."""
        most = self.pages_for(ticket.n_limit)
        if most > self.n_pages:
            raise ValueError(f"{ticket.n_limit} tokens need {most} pages of {self.n_pages}")
        ticket.arrival = next(self._arrivals)
        self._waiting[ticket.priority].append(ticket)

    def plan(self) -> list[Slice]:
        """Pause tickets without room, admit those with room, plan the next step. Empty only if there is no work."""
        self.admit()
        decoding = [t for t in self._active if t.decoding]
        prefill = [t for t in self._active if not t.decoding]
        slices = [Slice(t, t.n_computed, 1, True) for t in decoding]
        budget = self.n_batch - len(decoding)
        if decoding:
            budget = min(budget, self.n_prefill_shared)
        first = [t for t in prefill if t.priority is Priority.INTERACTIVE]
        later = [t for t in prefill if t.priority is not Priority.INTERACTIVE]
        kept = max(1, budget // BACKGROUND_SHARE) if first and later and budget > 1 else 0
        cut = _cut(first, budget - kept)
        return slices + cut + _cut(later, budget - sum(s.count for s in cut))

    def commit(self, slices: list[Slice]) -> None:
        """Record that the slices were evaluated. A ticket whose slice completed has one more token to evaluate."""
        for piece in slices:
            ticket = piece.ticket
            if ticket.state is not TicketState.ACTIVE:
                continue
            ticket.n_computed += piece.count
            ticket.n_reached = max(ticket.n_reached, ticket.n_computed)
            if piece.completes:
                ticket.n_known += 1

    def drop(self, ticket: Ticket) -> None:
        """End a ticket in any state. Its slot and pages are free for the next plan. Dropping twice is harmless."""
        if ticket.state is TicketState.WAITING:
            self._waiting[ticket.priority].remove(ticket)
        elif ticket.state is TicketState.ACTIVE:
            self._vacate(ticket)
        ticket.state = TicketState.ENDED

    def admit(self) -> list[Ticket]:
        """The first half of `plan`: pause tickets without room, admit those with room. Returns the latter, in order.

        Afterwards, a ticket in `paused` has lost its pages; it may already be admitted again. `n_computed` of an
        admitted ticket may be set before `plan` is called, which then pauses and admits nothing more.
        """
        self.paused.clear()
        self._grow()
        return self._admit()

    def _grow(self) -> None:
        """Give a page to every ticket whose next token needs one, in order of rank."""
        for ticket in sorted(self._active, key=lambda t: t.rank):
            if ticket.state is not TicketState.ACTIVE or ticket.n_known <= ticket.pages * self.page_size:
                continue
            while self.free_pages == 0 and ticket.state is TicketState.ACTIVE:
                self._pause(max(self._active, key=lambda t: t.rank))
            if ticket.state is TicketState.ACTIVE:
                ticket.pages += 1
                self.free_pages -= 1

    def _pause(self, ticket: Ticket) -> None:
        self._vacate(ticket)
        ticket.state = TicketState.WAITING
        ticket.n_computed = 0
        ticket.paused += 1
        self.n_paused += 1
        self.paused.append(ticket)
        queue = self._waiting[ticket.priority]
        queue.insert(sum(t.arrival < ticket.arrival for t in queue), ticket)

    def _vacate(self, ticket: Ticket) -> None:
        self._active.remove(ticket)
        self.free_pages += ticket.pages
        ticket.pages = 0

    def _admit(self) -> list[Ticket]:
        admitted: list[Ticket] = []
        growing = sum(t.pages < self.pages_for(t.n_limit) for t in self._active)
        while len(self._active) < self.n_slots:
            queue = self._turn()
            if queue is None:
                break
            needed = self.pages_for(min(queue[0].n_limit, queue[0].n_known + self.allowance))
            if needed + growing > self.free_pages:
                break
            ticket = queue.popleft()
            background = self._waiting[Priority.BACKGROUND]
            if ticket.priority is Priority.INTERACTIVE and background:
                background[0].passed_over += 1
            ticket.state = TicketState.ACTIVE
            ticket.pages = needed
            self.free_pages -= needed
            growing += needed < self.pages_for(ticket.n_limit)
            self._active.append(ticket)
            admitted.append(ticket)
        return admitted

    def _turn(self) -> deque[Ticket] | None:
        """The queue whose first ticket is next."""
        interactive, background = self._waiting[Priority.INTERACTIVE], self._waiting[Priority.BACKGROUND]
        held = sum(t.priority is Priority.BACKGROUND for t in self._active)
        may_take = bool(background) and held < max(1, self.n_slots - 1)
        if may_take and (not interactive or background[0].passed_over >= PATIENCE):
            return background
        return interactive or None


def _cut(tickets: list[Ticket], budget: int) -> list[Slice]:
    """Share `budget` tokens of prefill evenly. Tokens that a short prompt does not need go to the others."""
    wanted = {t: min(t.pending, t.max_slice) for t in tickets}
    given: dict[Ticket, int] = {}
    left = len(tickets)
    for ticket in sorted(tickets, key=lambda t: wanted[t]):  # stable: equal wants in order of admission
        # Round up, so that a budget below one token each still serves the tickets admitted first.
        given[ticket] = min(wanted[ticket], -(-budget // left))
        budget -= given[ticket]
        left -= 1
    return [Slice(t, t.n_computed, given[t], given[t] == t.pending) for t in tickets if given[t] > 0]
