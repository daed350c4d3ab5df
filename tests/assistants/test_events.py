"""A broadcast reaches every subscriber in order and never waits for one."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from oxillama.assistants.run.events import (
    ArgumentsDelta,
    Completed,
    InProgress,
    MessageDelta,
    RequiresAction,
    Restarted,
)
from oxillama.assistants.run.following.broadcast import Broadcast, Subscription
from oxillama.assistants.run.live import KEPT, KEPT_EVENTS, LiveRun, LiveRuns
from oxillama.assistants.run.queue import new_run_queue
from oxillama.errors import EngineBusyError
from tests.support.records import a_run

RUN = a_run("thread_x")


def delta(text: str) -> MessageDelta:
    return MessageDelta("msg_x", text, False)


async def test_every_subscriber_hears_everything_in_order() -> None:
    broadcast = Broadcast()
    subscribers = [broadcast.subscribe() for _ in range(3)]
    events: list[Any] = [InProgress(RUN), delta("a"), delta("b"), Completed(RUN)]
    for event in events:
        broadcast.send(event)
    broadcast.close()
    for subscriber in subscribers:
        assert [event async for event in subscriber] == events


async def test_a_subscriber_that_left_is_not_remembered() -> None:
    broadcast = Broadcast()
    subscriber = broadcast.subscribe()
    broadcast.unsubscribe(subscriber)
    broadcast.send(delta("x"))
    subscriber.close()
    assert [event async for event in subscriber] == []


async def test_beyond_the_limit_pieces_of_text_are_joined_and_nothing_else_is() -> None:
    broadcast = Broadcast()
    subscription = broadcast.subscribe()
    for n in range(1000):
        broadcast.send(delta(str(n) + " "))
    broadcast.send(Completed(RUN))
    broadcast.close()
    events = [event async for event in subscription]
    assert len(events) == Subscription.LIMIT + 1
    assert "".join(e.text for e in events[:-1] if isinstance(e, MessageDelta)) == "".join(f"{n} " for n in range(1000))


async def test_pieces_of_arguments_are_joined_for_each_call() -> None:
    broadcast = Broadcast()
    subscription = broadcast.subscribe()
    for n in range(400):
        broadcast.send(ArgumentsDelta("step_x", n // 300, "x"))
    broadcast.close()
    events = [event async for event in subscription]
    texts = {n: "".join(e.text for e in events if isinstance(e, ArgumentsDelta) and e.index == n) for n in (0, 1)}
    assert texts == {0: "x" * 300, 1: "x" * 100}
    assert len(events) == Subscription.LIMIT + 1


async def test_a_run_is_joined_behind_any_event_and_nothing_is_missing() -> None:
    broadcast = Broadcast()
    first = broadcast.subscribe()
    for text in "abc":
        broadcast.send(delta(text))
    cursors = []
    for _ in range(3):
        await first.receive()
        cursors.append(first.cursor)
    joiners = [broadcast.join(RUN, cursor) for cursor in (None, *cursors)]
    broadcast.send(delta("d"))
    broadcast.close()
    texts = ["".join([e.text async for e in joiner if isinstance(e, MessageDelta)]) for joiner in joiners]
    assert texts == ["abcd", "bcd", "cd", "d"]
    late = broadcast.join(RUN, cursors[1])
    assert [e.text async for e in late if isinstance(e, MessageDelta)] == ["c", "d"]


async def test_a_cursor_of_another_server_begins_anew_and_says_so() -> None:
    old, new = Broadcast(), Broadcast()
    before = old.subscribe()
    old.send(delta("a"))
    await before.receive()
    new.send(delta("z"))
    new.close()
    assert [event async for event in new.join(RUN, before.cursor)] == [Restarted(RUN), delta("z")]
    with pytest.raises(ValueError, match="is no cursor"):
        new.join(RUN, "12")


async def test_a_subscription_ends_where_the_run_waits_for_its_client() -> None:
    broadcast = Broadcast()
    watching = broadcast.subscribe()
    broadcast.send(RequiresAction(RUN))
    assert [event async for event in watching] == [RequiresAction(RUN)]
    assert [event async for event in broadcast.subscribe()] == [RequiresAction(RUN)]
    broadcast.send(InProgress(RUN))
    later = broadcast.subscribe()
    broadcast.close()
    assert [event async for event in later] == [RequiresAction(RUN), InProgress(RUN)]


async def test_a_cancelled_receive_loses_no_event() -> None:
    broadcast = Broadcast()
    subscription = broadcast.subscribe()
    for n in range(5):
        with trio.move_on_after(0):
            await subscription.receive()
        broadcast.send(delta(str(n)))
    broadcast.close()
    assert [e.text async for e in subscription if isinstance(e, MessageDelta)] == list("01234")


async def test_only_so_many_runs_and_events_are_kept_after_their_end() -> None:
    runs = LiveRuns()
    for n in range(KEPT + 10):
        runs.remove(runs.add("thread_x", f"run_{n}"))
    assert runs.broadcast("run_9") is None
    assert runs.broadcast("run_10") is not None
    long = runs.add("thread_x", "run_long")
    for _ in range(KEPT_EVENTS + 1):
        long.broadcast.send(delta("x"))
    runs.remove(long)
    assert runs.broadcast("run_long") is None
    assert runs.broadcast(f"run_{KEPT + 9}") is None
    assert len(runs) == 0


async def test_a_queue_is_bounded_and_counts_runs_in_progress() -> None:
    sender, receiver = new_run_queue(2)
    item = LiveRun(RUN.thread_id, RUN.id)
    for _ in range(2):
        sender.reserve()
        sender.send(item)
    with pytest.raises(EngineBusyError):
        sender.reserve()
    assert await receiver.__anext__() == item
    with pytest.raises(EngineBusyError):
        sender.reserve()
    receiver.done()
    sender.reserve()
    sender.release()
    sender.resend(item)
    sender.resend(item)  # admitted by the previous process
    sender.close()
    assert [i async for i in receiver] == [item] * 3
