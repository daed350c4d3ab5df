"""Runs from the queue to every kind of end, with the scripted engine."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
import trio

from oxillama.assistants.records import RunStatus, RunStepStatus
from oxillama.assistants.run import events as ev
from oxillama.assistants.run.following.broadcast import Subscription
from oxillama.errors import EngineBusyError, StateConflictError
from tests.support.fake_engine import FakeChatTemplate, FakeEngine
from tests.support.records import a_message, a_run, a_step, a_thread
from tests.support.stores import damage, open_store, rows

if TYPE_CHECKING:
    from pathlib import Path

    from trio.testing import MockClock

    from oxillama.assistants.records import Run


OpenClient = Any


def names(events: list[ev.RunEvent]) -> list[str]:
    """The names of the events; consecutive deltas count as one."""
    kinds = [type(event).__name__ for event in events]
    return [kind for at, kind in enumerate(kinds) if kind != "MessageDelta" or kinds[at - 1] != kind]


START = ["Created", "Queued", "InProgress", "StepCreated", "StepInProgress", "MessageCreated", "MessageInProgress"]


async def test_a_run_ends_with_the_answer_in_its_thread(clock: MockClock, open_client: OpenClient) -> None:
    async with open_client(FakeEngine(reply="Hi there")) as client:
        run, events = await client.done("Hello", instructions="Be kind.")
        assert names(events) == [*START, "MessageDelta", "MessageEnded", "StepEnded", "Completed"]
        assert [e.text for e in events if isinstance(e, ev.MessageDelta)] == list("Hi there")
        assert (run.status, run.expires_at, run.last_error) == (RunStatus.COMPLETED, None, None)
        assert run.usage is not None
        assert run.usage.completion_tokens == 9
        _, answer = client.store.messages.list(run.thread_id)
        assert (answer.text_content, answer.status, answer.run_id) == ("Hi there", "completed", run.id)
        (step,) = client.store.steps.list(run.thread_id, run.id)
        assert (step.status, step.message_id, step.usage) == (RunStepStatus.COMPLETED, answer.id, run.usage)


async def test_every_status_is_on_disk_before_it_is_announced(
    clock: MockClock, open_client: OpenClient, tmp_path: Path
) -> None:
    async with open_client(FakeEngine(delay_s=0.1)) as client:
        run, _, subscription = await client.start("Hello")
        seen = []
        async for event in subscription:
            messages, steps = (list(rows(tmp_path, table).values()) for table in ("messages", "steps"))
            stored = rows(tmp_path, "runs")[run.id]
            match event:
                case ev.InProgress(said) | ev.Completed(said):
                    assert (stored["status"], stored["started_at"]) == (said.status, said.started_at)
                case ev.StepCreated(step) | ev.StepEnded(step):
                    assert [(one["id"], one["status"]) for one in steps] == [(step.id, step.status)]
                case ev.MessageEnded(message):
                    assert (messages[-1]["id"], messages[-1]["status"]) == (message.id, message.status)
                case _:
                    continue
            seen.append(type(event).__name__)
    assert seen == ["InProgress", "StepCreated", "MessageEnded", "StepEnded", "Completed"]


async def test_text_is_announced_as_it_is_generated(clock: MockClock, open_client: OpenClient) -> None:
    async with open_client(FakeEngine(reply="abc", delay_s=1.0)) as client:
        _, _, subscription = await client.start("Hello")
        times = [trio.current_time() async for event in subscription if isinstance(event, ev.MessageDelta)]
        assert [round(b - a, 3) for a, b in itertools.pairwise(times)] == [1.0, 1.0]


async def test_the_prompt_holds_the_instructions_and_the_thread_in_order(
    clock: MockClock, open_client: OpenClient
) -> None:
    engine = FakeEngine()
    async with open_client(engine) as client:
        await client.done("first", "second", instructions="Be brief.")
    assert engine.prompt_text(engine.requests[0]) == (
        "<system>Be brief.</system><user>first</user><user>second</user><assistant>"
    )
    assert engine.requests[0].cache_prompt


async def test_a_run_reads_no_messages_that_its_prompt_cannot_have(
    clock: MockClock, open_client: OpenClient, tmp_path: Path
) -> None:
    engine = FakeEngine()
    async with open_client(engine) as client:
        thread = client.store.threads.create(a_thread(), [a_message(text) for text in "abcd"])
        damage(tmp_path, "messages", client.store.messages.list(thread.id)[1].id, "{")
        strategy = {"type": "last_messages", "last_messages": 2}
        run = a_run(thread.id, truncation_strategy=strategy)
        _, live = await client.assistants.create_run(run)
        await live.ended.wait()
        assert client.store.runs.get(thread.id, run.id).status is RunStatus.COMPLETED
    assert engine.prompt_text(engine.requests[0]) == "<user>c</user><user>d</user><assistant>"


async def test_an_empty_prompt_is_a_warning_not_a_failure(
    clock: MockClock, open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_client() as client:
        run, _ = await client.done()
    assert run.status is RunStatus.COMPLETED
    assert "empty prompt" in caplog.text


async def test_settings_of_the_run_reach_the_engine(clock: MockClock, open_client: OpenClient) -> None:
    engine = FakeEngine()
    async with open_client(engine) as client:
        await client.done("x", temperature=0.3, top_p=0.5, max_completion_tokens=300)
    sampling = engine.requests[0].sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.3, 0.5, 300)


async def test_a_used_up_budget_makes_the_run_incomplete(clock: MockClock, open_client: OpenClient) -> None:
    async with open_client(FakeEngine(reply="a long answer")) as client:
        run, events = await client.done("x", max_completion_tokens=6)
        assert names(events)[-3:] == ["MessageEnded", "StepEnded", "Incomplete"]
        assert run.status is RunStatus.INCOMPLETE
        assert run.incomplete_details.reason == "max_completion_tokens"
        message = client.store.messages.list(run.thread_id)[-1]
        assert (message.text_content, message.status) == ("a long", "incomplete")
        assert message.incomplete_details.reason == "max_tokens"
        assert client.store.steps.list(run.thread_id, run.id)[0].status is RunStepStatus.COMPLETED


async def test_a_prompt_over_its_budget_makes_the_run_incomplete(clock: MockClock, open_client: OpenClient) -> None:
    async with open_client() as client:
        run, events = await client.done("x" * 500, max_prompt_tokens=256)
        assert run.incomplete_details.reason == "max_prompt_tokens"
        assert names(events) == ["Created", "Queued", "InProgress", "Incomplete"]


async def test_a_failing_generation_fails_the_run_and_keeps_the_partial_text(
    clock: MockClock, open_client: OpenClient
) -> None:
    async with open_client(FakeEngine(reply="Hello", fail_at=3)) as client:
        run, events = await client.done("x")
        assert names(events)[-4:] == ["MessageDelta", "MessageEnded", "StepEnded", "Failed"]
        assert run.status is RunStatus.FAILED
        assert (run.last_error.code, run.last_error.message) == ("server_error", "the scripted failure")
        message = client.store.messages.list(run.thread_id)[-1]
        assert (message.text_content, message.incomplete_details.reason) == ("Hel", "run_failed")
        (step,) = client.store.steps.list(run.thread_id, run.id)
        assert (step.status, step.last_error) == (RunStepStatus.FAILED, run.last_error)
        client.store.messages.append(run.thread_id, a_message("the thread is free"))


@pytest.mark.parametrize(
    ("engine", "code"),
    [
        (FakeEngine(busy=True), "rate_limit_exceeded"),
        (FakeEngine(chat_template=FakeChatTemplate(error=ZeroDivisionError("secret"))), "server_error"),
        (FakeEngine(n_ctx=20), "invalid_prompt"),
    ],
    ids=["busy", "bug", "context"],
)
async def test_any_failure_ends_the_run_with_an_error(
    clock: MockClock, open_client: OpenClient, engine: FakeEngine, code: str
) -> None:
    engine.chat_template.source = "{{ messages }}"
    async with open_client(engine) as client:
        run, events = await client.done("x" * 100)
        assert run.status is RunStatus.FAILED
        assert run.last_error.code == code
        assert "secret" not in run.last_error.message
        assert names(events)[-1] == "Failed"


async def test_an_engine_that_dies_fails_its_runs(clock: MockClock, open_client: OpenClient) -> None:
    engine = FakeEngine(delay_s=1)
    async with open_client(engine) as client:
        _, _, subscription = await client.start("x")
        await trio.sleep(2.5)
        engine.kill()
        assert names([e async for e in subscription])[-1] == "Failed"


async def test_cancelling_a_run_keeps_its_partial_text(clock: MockClock, open_client: OpenClient) -> None:
    engine = FakeEngine(reply="abcdef", delay_s=1)
    async with open_client(engine) as client:
        run, _, subscription = await client.start("x")
        await trio.sleep(3.5)
        assert (await client.assistants.cancel_run(run.thread_id, run.id)).status is RunStatus.CANCELLING
        events = [event async for event in subscription]
        assert names(events)[-4:] == ["Cancelling", "MessageEnded", "StepEnded", "Cancelled"]
        assert client.answers(run) == ["abc"]
        assert client.store.messages.list(run.thread_id)[-1].incomplete_details.reason == "run_cancelled"
        assert client.store.steps.list(run.thread_id, run.id)[0].status is RunStepStatus.CANCELLED
        assert engine.active == 0
        with pytest.raises(StateConflictError, match=r"Cannot cancel run with status 'cancelled'\."):
            await client.assistants.cancel_run(run.thread_id, run.id)


async def test_a_run_that_waits_for_a_slot_can_be_cancelled_and_does_not_expire(
    clock: MockClock, open_client: OpenClient
) -> None:
    async with open_client(FakeEngine(n_slots=1, hang_in_prefill=True)) as client:
        first, _, _ = await client.start("holds the slot")
        waiting, _, events = await client.start("waits")
        await trio.sleep(1)
        await client.assistants.cancel_run(waiting.thread_id, waiting.id)
        assert names([e async for e in events]) == ["Created", "Queued", "Cancelling", "Cancelled"]
        late, kinds = await client.done("begins when the first one has expired")
        assert names(kinds)[:3] == ["Created", "Queued", "InProgress"]
        assert client.store.runs.get(first.thread_id, first.id).status is RunStatus.EXPIRED
        assert (late.status, late.started_at - first.created_at) == (RunStatus.EXPIRED, 600)
        assert round(trio.current_time()) == 1200


async def test_a_run_expires_while_it_generates(clock: MockClock, open_client: OpenClient) -> None:
    async with open_client(FakeEngine(hang_in_prefill=True)) as client:
        began = trio.current_time()
        run, events = await client.done("x")
        assert round(trio.current_time() - began) == 600
        assert names(events)[-3:] == ["MessageEnded", "StepEnded", "Expired"]
        assert client.store.messages.list(run.thread_id)[-1].incomplete_details.reason == "run_expired"


async def test_as_many_runs_at_once_as_the_engine_has_slots(clock: MockClock, open_client: OpenClient) -> None:
    engine = FakeEngine(n_slots=3, delay_s=1)
    seen = []
    async with open_client(engine) as client:
        subscriptions = [(await client.start(str(n)))[2] for n in range(7)]
        for subscription in subscriptions:
            async for _ in subscription:
                seen.append(engine.open)
    assert max(seen) == 3


async def test_a_full_queue_refuses_before_anything_is_stored(
    clock: MockClock, open_client: OpenClient, tmp_path: Path
) -> None:
    async with open_client(FakeEngine(hang_in_prefill=True), max_runs=2) as client:
        (first, _, _), _ = await client.start("1"), await client.start("2")
        with pytest.raises(EngineBusyError):
            await client.start("3")
        assert len(rows(tmp_path, "threads")) == 2
        await client.assistants.cancel_run(first.thread_id, first.id)
        await trio.sleep(1)
        await client.start("3")


async def test_deleting_a_thread_ends_its_run(clock: MockClock, open_client: OpenClient) -> None:
    engine = FakeEngine(delay_s=1)
    async with open_client(engine) as client:
        run, _, subscription = await client.start("x")
        await trio.sleep(2.5)
        await client.assistants.delete_thread(run.thread_id)
        assert names([e async for e in subscription])[-1] == "Cancelled"
        assert engine.active == 0


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_server_that_stops_leaves_runs_to_the_next_one(
    clock: MockClock, open_client: OpenClient, streamed: bool
) -> None:
    async with open_client(FakeEngine(reply="abc", delay_s=1, n_slots=1)) as client:
        first, _, subscription = await client.start("x", streamed=streamed)
        second, _, _ = await client.start("waits")
        await trio.sleep(1.5)
    kinds = names([e async for e in subscription])
    assert kinds[-1] == "MessageDelta"
    async with open_client(FakeEngine(reply="again")) as client:
        await trio.sleep(5)
        assert client.answers(first) == ["again"]
        assert client.answers(second) == ["again"]
        assert client.store.runs.get(second.thread_id, second.id).status is RunStatus.COMPLETED
        assert len(client.store.steps.list(first.thread_id, first.id)) == 1


async def test_a_draining_server_begins_no_runs_and_leaves_interrupted_ones_to_the_next_start(
    clock: MockClock, open_client: OpenClient
) -> None:
    engine = FakeEngine(reply="abc", delay_s=1, n_slots=2)
    async with open_client(engine) as client:
        finishing, _, _ = await client.start("x", streamed=False)
        await trio.sleep(2.5)
        given_up, _, _ = await client.start("x", streamed=False)
        waiting, _, watched = await client.start("x")
        await trio.sleep(0.5)
        client.assistants.stop()
        assert names([event async for event in watched]) == ["Created", "Queued"]
        await engine.drain(1.5)
        await trio.sleep(0.1)
        statuses = [client.store.runs.get(run.thread_id, run.id).status for run in (finishing, given_up, waiting)]
        assert statuses == [RunStatus.COMPLETED, RunStatus.QUEUED, RunStatus.QUEUED]
        assert client.store.runs.get(given_up.thread_id, given_up.id).attempts == 0
    async with open_client(FakeEngine(reply="again")) as client:
        await trio.sleep(5)
        assert client.answers(finishing) == ["abc"]
        assert client.answers(given_up) == client.answers(waiting) == ["again"]


async def test_a_subscriber_that_does_not_read_never_delays_a_run(clock: MockClock, open_client: OpenClient) -> None:
    text = "x" * 1500
    async with open_client(FakeEngine(reply=text)) as client:
        run, _, idle = await client.start("x")
        with trio.fail_after(60):
            while not client.store.runs.get(run.thread_id, run.id).status.is_terminal:
                await trio.sleep(0.1)
        events = [event async for event in idle]
        assert len(events) <= Subscription.LIMIT + 10
        assert "".join(e.text for e in events if isinstance(e, ev.MessageDelta)) == text


def waiting_for_its_client(path: Path) -> Run:
    """A run in the data directory, with its open step, as a server that offers tools leaves it."""
    store = open_store(path)
    thread = store.threads.create(a_thread(), [a_message()])
    run = store.runs.create(a_run(thread.id))
    store.steps.append(a_step(run))
    return store.runs.update_status(thread.id, run.id, RunStatus.REQUIRES_ACTION, attempts=1)


async def test_a_run_that_waits_for_its_client_expires_while_the_server_runs(
    clock: MockClock, open_client: OpenClient, tmp_path: Path
) -> None:
    run = waiting_for_its_client(tmp_path)
    async with open_client(FakeEngine(n_slots=1)) as client:
        other, _ = await client.done("Hello")
        assert other.status is RunStatus.COMPLETED  # the run that waits holds no slot
        await trio.sleep(590)
        assert client.store.runs.get(run.thread_id, run.id) == run
        await trio.sleep(20)
        ended = client.store.runs.get(run.thread_id, run.id)
        assert (ended.status, ended.expires_at) == (RunStatus.EXPIRED, None)
        (step,) = client.store.steps.list(run.thread_id, run.id)
        assert step.status is RunStepStatus.EXPIRED


async def test_a_run_that_waits_for_its_client_outlives_a_stop_and_can_be_cancelled(
    clock: MockClock, open_client: OpenClient, tmp_path: Path
) -> None:
    run = waiting_for_its_client(tmp_path)
    async with open_client() as client:
        await trio.sleep(1)
        client.assistants.stop()
        await trio.sleep(1)
        assert client.store.runs.get(run.thread_id, run.id) == run
    async with open_client() as client:
        assert client.store.runs.get(run.thread_id, run.id) == run
        await trio.sleep(1)
        await client.assistants.cancel_run(run.thread_id, run.id)
        await trio.sleep(1)
        assert client.store.runs.get(run.thread_id, run.id).status is RunStatus.CANCELLED
