"""A broadcast reaches every subscriber in order and never waits for one."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from oxillama.assistants.run.events import Broadcast, Completed, InProgress, MessageDelta, Subscription
from oxillama.assistants.run.live import LiveRun
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
    assert not subscriber._events


async def test_beyond_the_limit_pieces_of_text_are_joined_and_nothing_else_is() -> None:
    subscription = Subscription()
    for n in range(1000):
        subscription.push(delta(str(n) + " "))
    subscription.push(Completed(RUN))
    subscription.close()
    events = [event async for event in subscription]
    assert len(events) == Subscription.LIMIT + 1
    assert "".join(e.text for e in events[:-1] if isinstance(e, MessageDelta)) == "".join(f"{n} " for n in range(1000))


async def test_a_cancelled_receive_loses_no_event() -> None:
    subscription = Subscription()
    for n in range(5):
        with trio.move_on_after(0):
            await subscription.receive()
        subscription.push(delta(str(n)))
    subscription.close()
    assert [e.text async for e in subscription if isinstance(e, MessageDelta)] == list("01234")


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
