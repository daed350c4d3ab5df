"""The scheduler's decisions, one claim each; their invariants under any traffic are in test_scheduler_properties."""

from __future__ import annotations

import numpy as np
import pytest

from oxillama.engine.api.types import Priority
from oxillama.engine.batching.scheduler import PATIENCE, Scheduler
from oxillama.engine.ticket import YIELDS, Slice, Ticket, TicketState


def scheduler(
    n_slots: int = 4, n_pages: int = 64, n_batch: int = 32, n_prefill_shared: int | None = None, allowance: int = 256
) -> Scheduler:
    return Scheduler(
        n_slots=n_slots,
        n_pages=n_pages,
        page_size=16,
        n_batch=n_batch,
        n_prefill_shared=n_prefill_shared,
        allowance=allowance,
    )


def ticket(n_prompt: int, n_new: int = 8, priority: Priority = Priority.INTERACTIVE, max_slice: int = 10**6) -> Ticket:
    return Ticket(n_prompt=n_prompt, n_limit=n_prompt + n_new, priority=priority, max_slice=max_slice)


def shape(plan: list[Slice]) -> list[tuple[int, int, bool]]:
    return [(s.start, s.count, s.completes) for s in plan]


def plan(s: Scheduler) -> list[Slice]:
    s.make_room()
    while s.admit():
        pass
    return s.plan()


def step(s: Scheduler) -> list[Slice]:
    slices = plan(s)
    s.commit(slices)
    return slices


def test_a_prompt_is_evaluated_in_chunks_of_the_batch_and_then_decoded() -> None:
    s = scheduler()
    s.add(ticket(70))
    shapes = [shape(step(s)) for _ in range(5)]
    assert shapes == [[(0, 32, False)], [(32, 32, False)], [(64, 6, True)], [(70, 1, True)], [(71, 1, True)]]


def test_decoding_continues_while_another_prompt_is_prefilled() -> None:
    s = scheduler()
    s.add(ticket(3))
    step(s)
    s.add(ticket(100))
    assert shape(step(s)) == [(3, 1, True), (0, 31, False)]
    assert shape(step(s)) == [(4, 1, True), (31, 31, False)]


def test_prefill_is_limited_while_any_ticket_decodes() -> None:
    s = scheduler(n_prefill_shared=8)
    s.add(ticket(100))
    assert shape(step(s)) == [(0, 32, False)]
    s.add(ticket(2))
    step(s)
    assert sorted(shape(step(s))) == [(2, 1, True), (62, 8, False)]


def test_prompts_share_a_step_evenly_and_a_short_one_leaves_its_rest() -> None:
    s = scheduler()
    for n in (100, 6, 100):
        s.add(ticket(n))
    assert shape(step(s)) == [(0, 13, False), (0, 6, True), (0, 13, False)]


def test_a_slice_is_at_most_as_long_as_the_ticket_allows() -> None:
    s = scheduler()
    s.add(ticket(100, max_slice=5))
    assert shape(step(s)) == [(0, 5, False)]


def test_interactive_prompts_go_before_background_ones_which_still_advance() -> None:
    s = scheduler()
    s.add(ticket(100, priority=Priority.BACKGROUND))
    s.add(ticket(100))
    assert [(x.ticket.priority, x.count) for x in step(s)] == [(Priority.INTERACTIVE, 28), (Priority.BACKGROUND, 4)]


def test_background_work_leaves_a_slot_to_interactive_requests() -> None:
    s = scheduler(n_slots=3)
    for _ in range(5):
        s.add(ticket(4, priority=Priority.BACKGROUND))
    step(s)
    assert (s.n_active, s.n_waiting) == (2, 3)
    s.add(ticket(4))
    step(s)
    assert s.n_active == 3


def test_background_work_waits_for_interactive_requests_but_not_forever() -> None:
    s = scheduler(n_slots=1)
    patient = ticket(1, priority=Priority.BACKGROUND)
    s.add(ticket(1))
    step(s)
    s.add(patient)
    served = 0
    while patient.state is TicketState.WAITING:
        s.add(ticket(1))
        s.drop(plan(s)[0].ticket)
        plan(s)
        served += 1
        assert served <= PATIENCE + 2
    assert served > PATIENCE


def test_a_large_request_is_not_overtaken_forever() -> None:
    s = scheduler(n_pages=4)
    small, large, later = ticket(8), ticket(40, 20), ticket(8)
    for t in (small, large, later):
        s.add(t)
    step(s)
    assert [t.state for t in (small, large, later)] == [TicketState.ACTIVE, TicketState.WAITING, TicketState.WAITING]
    s.drop(small)
    step(s)
    assert [t.state for t in (large, later)] == [TicketState.ACTIVE, TicketState.WAITING]


def test_a_dropped_ticket_is_out_of_the_next_plan_and_its_pages_are_free() -> None:
    s = scheduler(n_pages=4)
    first, second = ticket(40, 20), ticket(40, 20)
    s.add(first)
    s.add(second)
    step(s)
    s.drop(first)
    assert [x.ticket for x in plan(s)] == [second]
    s.drop(second)
    s.drop(second)
    assert s.free_pages == 4


def test_dropping_a_waiting_ticket_leaves_the_active_one_alone() -> None:
    s = scheduler(n_slots=1)
    active, waiting = ticket(4), ticket(4)
    s.add(active)
    s.add(waiting)
    step(s)
    s.drop(waiting)
    assert [x.ticket for x in step(s)] == [active]
    assert (s.n_active, s.n_waiting) == (1, 0)


def test_a_ticket_that_could_fill_the_cache_does_not_block_others() -> None:
    s = scheduler(n_pages=16, allowance=16)
    tickets = [ticket(10, 16 * 16 - 10) for _ in range(3)]
    for t in tickets:
        s.add(t)
    assert [x.ticket for x in step(s)] == tickets
    assert [t.pages for t in tickets] == [2, 2, 2]
    for _ in range(30):
        step(s)
    assert [t.pages for t in tickets] == [3, 3, 3]


def test_without_a_page_the_youngest_is_paused_and_waits_at_the_head_of_the_queue() -> None:
    s = scheduler(n_pages=7, allowance=16)
    old, young, third = ticket(30, 60), ticket(30, 60), ticket(4)
    s.add(old)
    s.add(young)
    while not s.paused:
        step(s)
        if s.n_waiting == 0 and s.n_active == 2 and third.arrival < 0:
            s.add(third)
    assert s.paused == [young]
    assert (young.state, young.pages, young.n_computed) == (TicketState.WAITING, 0, 0)
    assert (young.n_known, old.n_known) == (49, 50)
    assert [x.ticket for x in step(s)] == [old]
    s.drop(old)
    assert [x.ticket for x in step(s)] == [young, third]


def test_a_paused_ticket_evaluates_its_tokens_again_and_continues() -> None:
    s = scheduler(n_pages=7, allowance=16)
    old, young = ticket(30, 60), ticket(30, 60)
    s.add(old)
    s.add(young)
    while not s.paused:
        step(s)
    s.drop(old)
    assert [shape(step(s)) for _ in range(3)] == [[(0, 32, False)], [(32, 17, True)], [(49, 1, True)]]
    assert (young.n_known, young.n_reached) == (51, 50)


def test_background_work_gives_way_to_younger_requests_a_few_times_only() -> None:
    s = scheduler(n_pages=8, allowance=0, n_slots=3)
    patient, paused = ticket(30, 90, priority=Priority.BACKGROUND), 0
    s.add(patient)
    while patient.n_known < patient.n_limit and paused < 50:
        if s.n_waiting == 0:
            s.add(ticket(30, 90))
        for x in step(s):
            if x.ticket.n_known >= x.ticket.n_limit and x.ticket is not patient:
                s.drop(x.ticket)
        paused += patient in s.paused
    assert paused == patient.paused == YIELDS


def test_a_ticket_that_can_never_run_is_refused() -> None:
    with pytest.raises(ValueError, match="pages"):
        scheduler(n_pages=2).add(ticket(40))
    with pytest.raises(ValueError, match="slots"):
        scheduler(n_slots=64)


def waiting_pair(n_prompt: int = 100, until: int = 40, **options: int) -> tuple[Scheduler, Ticket, Ticket]:
    s = scheduler(**options)
    source, follower = ticket(n_prompt), ticket(n_prompt)
    s.add(source)
    s.add(follower)
    plan(s)
    s.worth_waiting = 10
    s.wait(follower, source, until)
    return s, source, follower


def test_a_ticket_that_waits_takes_no_part_until_the_other_is_there() -> None:
    s, source, follower = waiting_pair()
    assert [[(x.ticket, x.count) for x in step(s)] for _ in range(2)] == [[(source, 32)], [(source, 8)]]
    assert s.ready() == [follower]
    assert s.ready() == []
    s.share(follower, 40, np.arange(3, dtype=np.int32), source)
    assert [(x.ticket, x.start, x.count) for x in step(s)] == [(source, 40, 16), (follower, 40, 16)]


def test_a_slice_does_not_end_early_if_little_is_left_after_it() -> None:
    s, _, follower = waiting_pair(n_prompt=30, until=21)
    assert shape(step(s)) == [(0, 30, True)]
    assert s.ready() == [follower]


def test_points_to_go_on_from_that_lie_close_together_end_one_slice() -> None:
    s, source, _ = waiting_pair(until=8)
    second, third = ticket(100), ticket(100)
    for t, until in ((second, 12), (third, 31)):
        s.add(t)
        plan(s)
        s.wait(t, source, until)
    assert shape(step(s)) == [(0, 12, False)]
    assert [x for x in step(s) if x.ticket is source] == [Slice(source, 12, 11, False)]  # two others read on with it
    assert [x for x in step(s) if x.ticket is source] == [Slice(source, 23, 8, False)]


@pytest.mark.parametrize("dropped", [True, False])
def test_a_wait_ends_when_the_other_is_dropped_or_paused(dropped: bool) -> None:
    s, source, follower = waiting_pair()
    step(s)
    if dropped:
        s.drop(source)
    else:
        s._pause(source)
    assert not follower.waits
    assert s.ready() == [follower]
    assert not s.may_wait(follower, source)


def test_no_ticket_waits_for_a_later_one_or_for_one_of_a_lower_class() -> None:
    s = scheduler(n_slots=8)
    low, first, second, scored = (
        ticket(50, priority=Priority.BACKGROUND), ticket(50), ticket(50), ticket(50, max_slice=5)
    )  # fmt: skip
    for t in (low, first, second, scored):
        s.add(t)
        s.admit()
    assert s.may_wait(second, first)
    assert s.may_wait(scored, first)
    assert not s.may_wait(first, second)
    assert not s.may_wait(first, low)
    later = ticket(50, priority=Priority.BACKGROUND)
    s.add(later)
    assert s.may_wait(later, low)
    assert s.may_wait(later, first)
    assert not s.may_wait(later, scored)


def test_shared_pages_count_once_as_long_as_anyone_holds_them() -> None:
    s = scheduler(n_pages=10, allowance=0)
    first, second = ticket(64, 0), ticket(64, 0)
    pages = np.array([7, 3, 5], np.int32)
    s.add(first)
    s.admit()
    s.add(second)
    assert s.free_pages == 6
    s.admit()
    s.share(second, 50, pages, first)
    assert (s.free_pages, second.n_computed) == (5, 50)
    s.drop(first)
    assert s.free_pages == 6
    third = ticket(64, 0)
    s.add(third)
    s.admit()
    s.share(third, 48, pages, second)
    assert (s.free_pages, s.held(pages), s.held(np.array([1], np.int32))) == (5, 3, 0)
    s.drop(second)
    s.drop(third)
    assert (s.free_pages, s.held(pages)) == (10, 0)


def test_a_ticket_is_admitted_on_the_pages_it_shares() -> None:
    s = scheduler(n_pages=6, allowance=0)
    first, second = ticket(64, 0), ticket(64, 0)
    s.add(first)
    s.admit()
    s.add(second)
    assert s.admit() is None
    assert s.admit(lambda t: 1) is None
    assert s.admit(lambda t: 2) is second
