"""Under any traffic, steps keep their budget, pages are neither leaked nor given twice, and every ticket ends."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from oxillama.engine.api.types import Priority
from oxillama.engine.batching.scheduler import Scheduler
from oxillama.engine.ticket import Slice, Ticket, TicketState

PAGE, CONTEXT = 4, 40


@dataclass
class Job:
    """A request of the traffic: arrives before step `at`, leaves early after `leaves` steps, if at all.

    n_forced: tokens that are forced after each one that is chosen.
    """

    at: int
    n_prompt: int
    n_new: int
    priority: Priority
    max_slice: int
    leaves: int | None
    n_forced: int


jobs = st.builds(
    Job,
    at=st.integers(0, 20),
    n_prompt=st.integers(1, CONTEXT // 2),
    n_new=st.integers(0, CONTEXT // 2),
    priority=st.sampled_from(Priority),
    max_slice=st.sampled_from([1, 3, 1000]),
    leaves=st.one_of(st.none(), st.integers(0, 12)),
    n_forced=st.sampled_from([0, 0, 1, 5, CONTEXT]),
)


class Runner:
    """A model of the KV cache: which tokens of which ticket have been evaluated."""

    def __init__(self, n_pages: int) -> None:
        self.n_pages = n_pages
        self.lengths: dict[Ticket, int] = {}

    def free(self, paused: list[Ticket]) -> None:
        for t in paused:
            del self.lengths[t]

    def run(self, plan: list[Slice], n_batch: int) -> None:
        assert sum(s.count for s in plan) <= n_batch
        assert len({s.ticket for s in plan}) == len(plan)
        for s in plan:
            assert s.count >= 1
            assert s.start == self.lengths.get(s.ticket, 0)
            self.lengths[s.ticket] = s.start + s.count
        assert sum(-(-n // PAGE) for n in self.lengths.values()) <= self.n_pages


def planned(s: Scheduler) -> list[Slice]:
    s.make_room()
    while s.admit():
        pass
    return s.plan()


@settings(max_examples=150, deadline=None)
@given(
    traffic=st.lists(jobs, max_size=14),
    n_slots=st.integers(1, 4),
    spare_pages=st.integers(0, 20),
    n_batch=st.integers(4, 24),
    n_prefill_shared=st.one_of(st.none(), st.integers(1, 8)),
    allowance=st.sampled_from([0, 1, 5, CONTEXT]),
    waits=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, CONTEXT)), max_size=20),
)
def test_every_ticket_ends_and_nothing_leaks(
    traffic: list[Job],
    n_slots: int,
    spare_pages: int,
    n_batch: int,
    n_prefill_shared: int | None,
    allowance: int,
    waits: list[tuple[int, int, int]],
) -> None:
    """waits: before each step, one ticket may be told to wait for another."""
    n_pages = CONTEXT // PAGE + spare_pages
    s = Scheduler(
        n_slots=n_slots,
        n_pages=n_pages,
        page_size=PAGE,
        n_batch=n_batch,
        n_prefill_shared=n_prefill_shared,
        allowance=allowance,
    )
    runner = Runner(n_pages)
    tickets: list[tuple[Job, Ticket]] = []
    n_forced: dict[Ticket, int] = {}
    arrivals = sorted(traffic, key=lambda job: job.at)
    # Each step evaluates at least one token, and there are no more than these, except those that pauses repeat.
    bound = 25 + sum(job.n_prompt + job.n_new + 1 for job in traffic)
    now = -1
    while now <= bound + sum(CONTEXT * t.paused for _, t in tickets):
        now += 1
        while arrivals and arrivals[0].at <= now:
            job = arrivals.pop(0)
            t = Ticket(job.n_prompt, job.n_prompt + job.n_new, job.priority, job.max_slice)
            s.add(t)
            tickets.append((job, t))
            n_forced[t] = job.n_forced
        for job, t in tickets:
            if job.leaves is not None and now == job.at + job.leaves:
                s.drop(t)
                runner.lengths.pop(t, None)
        ranks = sorted(t.rank for _, t in tickets if t.state is TicketState.ACTIVE)
        before = {t: t.rank for _, t in tickets}
        if waits and (active := [t for _, t in tickets if t.state is TicketState.ACTIVE]):
            i, j, until = waits.pop()
            one, other = active[i % len(active)], active[j % len(active)]
            if one.n_computed == 0 and s.may_wait(one, other):
                s.wait(one, other, min(until, other.n_known))
        s.ready()
        plan = planned(s)
        assert all(before[t] != ranks[0] or len(ranks) == 1 for t in s.paused)
        runner.free(s.paused)
        active = [t for _, t in tickets if t.state is TicketState.ACTIVE]
        assert len(active) == s.n_active <= n_slots
        assert s.free_pages == n_pages - sum(t.pages for t in active) >= 0
        assert all(runner.lengths.get(t, 0) == t.n_computed <= t.pages * PAGE for t in active)
        assert not any(x.ticket.waits for x in plan)
        assert {x.ticket for x in plan if x.ticket.decoding} == {t for t in active if t.decoding}
        assert bool(plan) == bool(s.n_active + s.n_waiting)
        runner.run(plan, n_batch)
        s.commit(plan)
        for x in plan:
            assert x.ticket.n_computed <= x.ticket.n_limit
            if x.completes:
                s.extend(x.ticket, max(0, min(n_forced[x.ticket], x.ticket.n_limit - x.ticket.n_known)))
            if x.completes and x.ticket.n_known > x.ticket.n_limit - (x.ticket.n_limit > x.ticket.n_prompt):
                s.drop(x.ticket)
                runner.lengths.pop(x.ticket)
        if not plan and not arrivals:
            break
    assert all(t.state is TicketState.ENDED for _, t in tickets)
    assert (s.n_active, s.n_waiting, s.free_pages) == (0, 0, n_pages)
    # Each pause gave a page to another ticket, which can grow at most to the end of its context.
    assert s.n_paused == sum(t.paused for _, t in tickets) <= len(traffic) * len(traffic) * CONTEXT // PAGE


@settings(max_examples=40, deadline=None)
@given(flood=st.lists(st.integers(1, 30), min_size=1, max_size=5), n_slots=st.integers(1, 3))
def test_background_work_ends_under_a_flood_of_interactive_requests(flood: list[int], n_slots: int) -> None:
    s = Scheduler(n_slots=n_slots, n_pages=100, page_size=PAGE, n_batch=16, n_prefill_shared=8)
    patient = Ticket(30, 36, Priority.BACKGROUND)
    s.add(patient)
    for now in range(2000):
        if patient.state is TicketState.ENDED:
            return
        while s.n_waiting < 3:
            n = flood[now % len(flood)]
            s.add(Ticket(n, n + 3))
        plan = planned(s)
        s.commit(plan)
        for x in plan:
            if x.ticket.n_known >= x.ticket.n_limit:
                s.drop(x.ticket)
    raise AssertionError("the background request starved")
