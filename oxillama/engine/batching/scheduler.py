"""Which requests run in the next step: pure decisions, without clock, channel, thread or model.

`add` queues a ticket. A step begins with `make_room`, which pauses tickets that have no room. `admit` then admits one
waiting ticket at a time, `plan` cuts the step, and `commit` records that it was evaluated. `drop` ends a ticket in any
state and frees what it held.

Pages. Most requests could grow to the whole context, and few do. So no pages are reserved for that. A ticket is
admitted with pages for the tokens it has and ALLOWANCE more, provided that one page stays free for each running ticket
that may still grow. After that it takes a page whenever it needs one. When none is left, the ticket of lowest rank is
paused: its pages become free, its tokens stay known, and it waits at the head of its queue. When it is admitted again,
it evaluates its tokens again. Its text does not show this, because a token's logits do not depend on how its sequence
was cut into steps.

Prefixes. A ticket without computed tokens of its own may `share` the first tokens of another sequence. Pages that
several tickets share count once (`ledger.py`). Or it may `wait` until an active ticket has computed tokens that both
begin with. It keeps its slot and its pages meanwhile, but takes no part in steps. It waits only for tickets that were
admitted before it and are not of a lower class, so the first ticket waits for none, and there is no circle. When the
other is paused or dropped, the wait ends. A slice ends where a waiting ticket goes on, if much is left after that.

Rank is the order of arrival, except that background tickets paused fewer than YIELDS times rank behind all others.
Pages are only ever taken from tickets of lower rank, and a single ticket always fits. So the first in rank always runs
to its end, and then the next one is first.

Order. Interactive tickets go first, each class in order of arrival. No ticket overtakes the next in line for lack of
pages, so large requests do not starve. Nor does background work: a ticket that was passed over PATIENCE times takes the
next turn. Background tickets hold at most all slots but one, where there is more than one.

Steps. Every decoding ticket takes one token. The rest of the budget goes to prefill, shared evenly, so that a short
prompt is not stuck behind a long one. Several tokens that were forced (`extend`) count as prefill. While any ticket
decodes, prefill gets at most `n_prefill_shared` tokens a step, because every ticket waits for the whole step.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING

from oxillama.engine.api.types import Priority
from oxillama.engine.batching.ledger import Ledger
from oxillama.engine.ticket import Slice, Ticket, TicketState

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.engine.batching.ledger import Pages

PATIENCE = 16
"""How many interactive tickets may pass the first background ticket that waits."""

ALLOWANCE = 256
"""Tokens, beyond those it has, for which a ticket gets pages when it is admitted: it should get some way before it is
paused, since pausing costs evaluating its tokens again."""

BACKGROUND_SHARE = 8
"""1/BACKGROUND_SHARE of a step's prefill is left to background tickets while interactive ones could use it all."""


WORTH_WAITING = 32
"""Tokens that a ticket must save to wait for another: a wait costs a step, and reading the weights for one more step
costs about as much as evaluating 10 to 30 tokens."""


class Scheduler:
    """The scheduler of the module's docstring. Not thread-safe.

    n_slots: most tickets that run at once. n_pages: pages of the KV cache. page_size: tokens of a page. n_batch: most
    tokens of a step. n_prefill_shared: most prompt tokens of a step while any ticket decodes; None: n_batch. allowance,
    worth_waiting: see ALLOWANCE, WORTH_WAITING. exact: a sequence can be continued only from where a slice ended.
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
        worth_waiting: int = WORTH_WAITING,
        exact: bool = False,
    ) -> None:
        if not 1 <= n_slots <= n_batch:
            raise ValueError(f"{n_slots} slots do not fit a batch of {n_batch} tokens")
        self.n_slots = n_slots
        self.n_pages = n_pages
        self.page_size = page_size
        self.n_batch = n_batch
        self.n_prefill_shared = n_batch if n_prefill_shared is None else max(1, n_prefill_shared)
        self.allowance = allowance
        self.worth_waiting = max(1, worth_waiting)
        self.exact = exact
        self.ends: dict[Ticket, int] = {}  # in the last plan: where slices had to end
        self.paused: list[Ticket] = []  # by the last `make_room`; their sequences must be closed before the step
        self.n_paused = 0
        self._ledger = Ledger(n_pages)
        self._arrivals = itertools.count()
        self._admissions = itertools.count()
        self._waiting: dict[Priority, deque[Ticket]] = {priority: deque() for priority in Priority}
        self._active: list[Ticket] = []  # in order of admission

    @property
    def n_active(self) -> int:
        return len(self._active)

    @property
    def n_waiting(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    @property
    def free_pages(self) -> int:
        return self._ledger.free

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
        """The next step. Empty only if no ticket is active."""
        decoding = [t for t in self._active if t.decoding]
        prefill = [t for t in self._active if not t.decoding and not t.waits]
        slices = [Slice(t, t.n_computed, 1, True) for t in decoding]
        budget = self.n_batch - len(decoding)
        if decoding:
            budget = min(budget, self.n_prefill_shared)
        first = [t for t in prefill if t.priority is Priority.INTERACTIVE]
        later = [t for t in prefill if t.priority is not Priority.INTERACTIVE]
        kept = max(1, budget // BACKGROUND_SHARE) if first and later and budget > 1 else 0
        self.ends = self._ends()
        cut = _cut(first, self.ends, budget - kept)
        return slices + cut + _cut(later, self.ends, budget - sum(s.count for s in cut))

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

    def extend(self, ticket: Ticket, n_tokens: int) -> None:
        """A ticket whose slice completed has this many tokens more to evaluate: they were not chosen from logits."""
        ticket.n_known += n_tokens

    def drop(self, ticket: Ticket) -> None:
        """End a ticket in any state. Its slot and pages are free for the next plan. Dropping twice is harmless."""
        if ticket.state is TicketState.WAITING:
            self._waiting[ticket.priority].remove(ticket)
        elif ticket.state is TicketState.ACTIVE:
            self._vacate(ticket)
        ticket.state = TicketState.ENDED

    def make_room(self) -> None:
        """Pause tickets without room. Afterwards those in `paused` have lost their pages."""
        self.paused.clear()
        self._grow()

    def admit(self, shared: Callable[[Ticket], int] = lambda _: 0) -> Ticket | None:
        """Admit the ticket that is next, if there is room. Call this until it returns None.

        shared: how many pages of other active tickets a ticket would share. Then it must `share` them at once.
        """
        queue = self._turn() if len(self._active) < self.n_slots else None
        if queue is None:
            return None
        needed = self.pages_for(min(queue[0].n_limit, queue[0].n_known + self.allowance))
        growing = sum(t.pages < self.pages_for(t.n_limit) for t in self._active)
        if needed + growing > self.free_pages and needed - shared(queue[0]) + growing > self.free_pages:
            return None
        ticket = queue.popleft()
        background = self._waiting[Priority.BACKGROUND]
        if ticket.priority is Priority.INTERACTIVE and background:
            background[0].passed_over += 1
        ticket.state = TicketState.ACTIVE
        ticket.turn = next(self._admissions)
        self._ledger.take(ticket, needed)
        self._active.append(ticket)
        return ticket

    def share(self, ticket: Ticket, n_tokens: int, pages: Pages, source: Ticket | None = None) -> None:
        """The first n_tokens of a ticket are computed, in the pages with these numbers.

        source: the active ticket whose pages they are, if there is one.
        """
        ticket.n_computed = n_tokens
        full = pages[: n_tokens // self.page_size]  # the next page is copied when one of both writes into it
        if source is not None:
            self._ledger.share(source, full)
        self._ledger.share(ticket, full)

    def held(self, pages: Pages) -> int:
        """How many of the pages with these numbers are known to be those of active tickets."""
        return self._ledger.held(pages)

    def may_wait(self, ticket: Ticket, source: Ticket) -> bool:
        """Whether a ticket that is active, or the next one to be admitted, may wait for another one."""
        return (
            source.state is TicketState.ACTIVE
            and (ticket.state is TicketState.WAITING or source.turn < ticket.turn)
            and source.priority <= ticket.priority
            and source.max_slice >= ticket.max_slice
        )

    def wait(self, ticket: Ticket, source: Ticket, until: int) -> None:
        """Leave a ticket out of steps until another one has computed its first `until` tokens. See `may_wait`."""
        ticket.source, ticket.until = source, until

    def ready(self) -> list[Ticket]:
        """Active tickets whose wait has ended since the last call, in order of admission."""
        found = [t for t in self._active if t.until and not t.waits]
        for ticket in found:
            ticket.source, ticket.until = None, 0
        return found

    def _grow(self) -> None:
        """Give every ticket the pages that its next tokens need, in order of rank."""
        for ticket in sorted(self._active, key=lambda t: t.rank):
            while ticket.state is TicketState.ACTIVE and ticket.n_known > ticket.pages * self.page_size:
                if self.free_pages:
                    self._ledger.take(ticket, 1)
                else:
                    self._pause(max(self._active, key=lambda t: t.rank))

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
        self._ledger.give_back(ticket)
        ticket.source, ticket.until = None, 0
        for other in self._active:
            if other.source is ticket:
                other.source = None

    def _ends(self) -> dict[Ticket, int]:
        """Where the next slice of a ticket ends at the latest: at its own stops, and where those that wait go on."""
        points: dict[Ticket, list[int]] = {}
        for ticket in self._active:
            if ticket.stops and ticket.stops[-1] > ticket.n_computed:
                points.setdefault(ticket, []).extend(p for p in ticket.stops if p > ticket.n_computed)
            if ticket.waits and ticket.source is not None:
                points.setdefault(ticket.source, []).append(ticket.until)
        return {source: self._next_end(source, sorted(found)) for source, found in points.items()}

    def _next_end(self, source: Ticket, points: list[int]) -> int:
        if self.exact:
            return points[0]
        # A step for a few tokens is not worth it, neither for those that wait nor for the source.
        following = (*points[1:], source.n_known)
        return next((p for p, q in zip(points, following, strict=True) if q - p >= self.worth_waiting), source.n_known)

    def _turn(self) -> deque[Ticket] | None:
        """The queue whose first ticket is next."""
        interactive, background = self._waiting[Priority.INTERACTIVE], self._waiting[Priority.BACKGROUND]
        held = sum(t.priority is Priority.BACKGROUND for t in self._active)
        may_take = bool(background) and held < max(1, self.n_slots - 1)
        if may_take and (not interactive or background[0].passed_over >= PATIENCE):
            return background
        return interactive or None


def _cut(tickets: list[Ticket], ends: dict[Ticket, int], budget: int) -> list[Slice]:
    """Share `budget` tokens of prefill evenly. Tokens that a short prompt does not need go to the others.

    ends: where slices of some tickets end at the latest.
    """
    wanted = {t: min(t.pending, t.max_slice, ends.get(t, t.n_known) - t.n_computed) for t in tickets}
    given: dict[Ticket, int] = {}
    left = len(tickets)
    for ticket in sorted(tickets, key=lambda t: wanted[t]):  # stable: equal wants in order of admission
        # Round up, so that a budget below one token each still serves the tickets admitted first.
        given[ticket] = min(wanted[ticket], -(-budget // left))
        budget -= given[ticket]
        left -= 1
    return [Slice(t, t.n_computed, given[t], given[t] == t.pending) for t in tickets if given[t] > 0]
