"""Runs that call functions: they wait for their client, go on with its outputs, and outlive restarts meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import trio

from oxillama.assistants.records import FunctionToolCall, RunStatus, RunStepStatus, transitions
from oxillama.assistants.run import events as ev
from oxillama.assistants.run.tools.offered import offered
from oxillama.concurrency import Offload
from oxillama.errors import StateConflictError
from tests.support.records import a_message, a_run, a_thread
from tests.support.tool_runs import TIME, WEATHER, ToolEngine, call, function

if TYPE_CHECKING:
    from trio.testing import MockClock

    from oxillama.assistants.records import Run
    from tests.support.assistants import Client

OpenClient = Callable[..., Any]
ROME, NOW_ = call("weather", city="Rome"), call("time")


def names(events: list[ev.RunEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def asked(run: Run) -> list[dict[str, Any]]:
    assert run.required_action is not None
    return list(run.required_action["submit_tool_outputs"]["tool_calls"])


async def submit(client: Client, run: Run, *outputs: str) -> tuple[Run, list[ev.RunEvent]]:
    """Answer the calls of a run, and wait until it ends or asks again."""
    pairs = [(one["id"], output) for one, output in zip(asked(run), outputs, strict=True)]
    _, subscription = await client.assistants.submit_outputs(run.thread_id, run.id, pairs)
    events = [event async for event in subscription]
    return client.store.runs.get(run.thread_id, run.id), events


async def test_a_call_stops_the_run_until_its_output_comes(clock: MockClock, open_client: OpenClient) -> None:
    engine = ToolEngine(ROME)
    async with open_client(engine) as client:
        run, events = await client.done("Is it warm in Rome?", tools=[WEATHER])
        deltas = [e for e in events if isinstance(e, ev.ArgumentsDelta)]
        assert len(deltas) > 5
        assert names([e for e in events if e not in deltas]) == [
            "Created", "Queued", "InProgress", "StepCreated", "StepInProgress", "CallBegan", "RequiresAction",
        ]  # fmt: skip
        assert run.status is RunStatus.REQUIRES_ACTION
        (wanted,) = asked(run)
        assert (wanted["type"], wanted["function"]["name"]) == ("function", "weather")
        assert json.loads(wanted["function"]["arguments"]) == {"city": "Rome"}
        assert "".join(e.text for e in deltas) == wanted["function"]["arguments"]
        (step,) = client.store.steps.list(run.thread_id, run.id)
        assert (step.type, step.status) == ("tool_calls", RunStepStatus.IN_PROGRESS)
        assert engine.active == 0
        with pytest.raises(StateConflictError, match="while a run"):
            client.store.messages.append(run.thread_id, a_message())

        ended, events = await submit(client, run, "21 degrees")
        assert names([e for e in events if not isinstance(e, ev.MessageDelta)]) == [
            "StepEnded", "Queued", "InProgress", "StepCreated", "StepInProgress", "MessageCreated",
            "MessageInProgress", "MessageEnded", "StepEnded", "Completed",
        ]  # fmt: skip
        assert (ended.status, ended.required_action) == (RunStatus.COMPLETED, None)
        assert client.answers(run) == ["Results: 21 degrees"]
        steps = client.store.steps.list(run.thread_id, run.id)
        assert [(one.type, one.status) for one in steps] == [
            ("tool_calls", RunStepStatus.COMPLETED), ("message_creation", RunStepStatus.COMPLETED),
        ]  # fmt: skip
        (made,) = steps[0].tool_calls
        assert isinstance(made, FunctionToolCall)
        assert (made.id, made.function.output) == (wanted["id"], "21 degrees")
        assert ended.usage == transitions.total_usage(one.usage for one in steps)
        assert ended.usage.prompt_tokens == sum(len(request.prompt_ids) for request in engine.requests)


async def test_several_calls_and_rounds_after_text_are_steps_of_one_run(
    clock: MockClock, open_client: OpenClient
) -> None:
    engine = ToolEngine(f"Let me see.\n{ROME}\n{NOW_}", ROME)
    async with open_client(engine) as client:
        run, events = await client.done("Hello", tools=[WEATHER, TIME])
        assert [e.message.text_content for e in events if isinstance(e, ev.MessageEnded)] == ["Let me see."]
        assert [(e.index, e.name) for e in events if isinstance(e, ev.CallBegan)] == [(0, "weather"), (1, "time")]
        assert len(asked(run)) == 2
        run, events = await submit(client, run, "warm", "noon")
        assert run.status is RunStatus.REQUIRES_ACTION
        ended, _ = await submit(client, run, "cold")
        assert ended.status is RunStatus.COMPLETED
        assert client.answers(run) == ["Let me see.", "Results: warm, noon, cold"]
        steps = client.store.steps.list(run.thread_id, run.id)
        assert [one.type for one in steps] == ["message_creation", "tool_calls", "tool_calls", "message_creation"]
        assert ended.usage == transitions.total_usage(one.usage for one in steps)
    last = engine.prompt_text(engine.requests[-1])
    assert last.count("Let me see.") == 1
    assert last.index("Let me see.") < last.index("warm") < last.index("noon") < last.index("cold")


async def test_outputs_must_answer_exactly_the_calls_of_a_run_that_waits(
    clock: MockClock, open_client: OpenClient
) -> None:
    async with open_client(ToolEngine(f"{ROME}\n{NOW_}")) as client:
        run, _ = await client.done("Hello", tools=[WEATHER, TIME])
        first, second = (one["id"] for one in asked(run))
        for outputs in ([], [first], [first, first], [first, "call_x"], [first, second, "call_x"]):
            with pytest.raises(StateConflictError) as refused:
                await client.assistants.submit_outputs(run.thread_id, run.id, [(one, "") for one in outputs])
            assert str(refused.value) == f"Expected tool outputs for call_ids ['{first}', '{second}'], got {outputs}"
        assert client.store.runs.get(run.thread_id, run.id) == run
        pairs = [(second, "noon"), (first, "warm")]  # in any order
        _, subscription = await client.assistants.submit_outputs(run.thread_id, run.id, pairs)
        with pytest.raises(StateConflictError, match=r'Runs in status "\w+" do not accept tool outputs\.'):
            await client.assistants.submit_outputs(run.thread_id, run.id, pairs)
        assert names([event async for event in subscription])[-1] == "Completed"
        assert client.answers(run) == ["Results: warm, noon"]


async def test_a_forced_choice_holds_for_the_first_reply_only(clock: MockClock, open_client: OpenClient) -> None:
    engine = ToolEngine(ROME)
    async with open_client(engine) as client:
        choice = {"type": "function", "function": {"name": "weather"}}
        run, _ = await client.done("Hello", tools=[WEATHER, TIME], tool_choice=choice)
        ended, _ = await submit(client, run, "warm")
        assert ended.status is RunStatus.COMPLETED
    forced, free = (request.constraint for request in engine.requests)
    assert forced is not None
    assert forced != free


async def test_no_call_where_none_is_allowed_and_one_where_calls_are_not_parallel(
    clock: MockClock, open_client: OpenClient
) -> None:
    async with open_client(ToolEngine(f"{ROME}\n{NOW_}")) as client:
        silent, events = await client.done("Hello", tools=[WEATHER, TIME], tool_choice="none")
        assert silent.status is RunStatus.COMPLETED
        assert names(events)[3] == "StepCreated"  # its message begins before its first token
        single, _ = await client.done("Hello", tools=[WEATHER, TIME], parallel_tool_calls=False)
        assert len(asked(single)) == 1


async def test_budgets_count_over_all_replies(clock: MockClock, open_client: OpenClient) -> None:
    async with open_client(ToolEngine(ROME)) as client:
        run, _ = await client.done("Hello", tools=[WEATHER], max_completion_tokens=len(ROME) + 4)
        ended, _ = await submit(client, run, "warm")
        assert (ended.status, ended.incomplete_details.reason) == (RunStatus.INCOMPLETE, "max_completion_tokens")
        assert client.answers(run) == ["Res"]
        assert ended.usage.completion_tokens == len(ROME) + 4
        prompt = run.usage.prompt_tokens
        short, _ = await client.done("Hello", tools=[WEATHER], max_prompt_tokens=prompt + 10)
        ended, _ = await submit(client, short, "warm")
        assert (ended.status, ended.incomplete_details.reason) == (RunStatus.INCOMPLETE, "max_prompt_tokens")


async def test_a_call_that_is_cut_off_is_never_asked_of_the_client(clock: MockClock, open_client: OpenClient) -> None:
    async with open_client(ToolEngine(ROME)) as client:
        run, events = await client.done("Hello", tools=[WEATHER], max_completion_tokens=len(ROME) - 20)
        assert (run.status, run.incomplete_details.reason) == (RunStatus.INCOMPLETE, "max_completion_tokens")
        assert names(events)[-2:] == ["StepEnded", "Incomplete"]
        (step,) = client.store.steps.list(run.thread_id, run.id)
        assert step.status is RunStepStatus.FAILED
        client.store.messages.append(run.thread_id, a_message("the thread is free"))


async def test_a_waiting_run_is_cancelled_or_expires(clock: MockClock, open_client: OpenClient) -> None:
    async with open_client(ToolEngine(ROME, delay_s=0.01), lifetime=30) as client:
        run, _ = await client.done("Hello", tools=[WEATHER])
        assert run.expires_at == run.started_at + 30
        await client.assistants.cancel_run(run.thread_id, run.id)
        await trio.sleep(1)
        late, _ = await client.done("Hello", tools=[WEATHER])
        await trio.sleep(31)
        for one, status, step_status in (
            (run, RunStatus.CANCELLED, RunStepStatus.CANCELLED),
            (late, RunStatus.EXPIRED, RunStepStatus.EXPIRED),
        ):
            ended = client.store.runs.get(one.thread_id, one.id)
            assert (ended.status, ended.required_action, ended.usage) == (status, None, one.usage)
            (step,) = client.store.steps.list(one.thread_id, one.id)
            assert (step.status, step.usage) == (step_status, one.usage)
            with pytest.raises(StateConflictError, match=f'Runs in status "{status}" do not'):
                await client.assistants.submit_outputs(one.thread_id, one.id, [(asked(one)[0]["id"], "")])


async def test_a_waiting_run_outlives_a_restart_and_is_not_asked_again(
    clock: MockClock, open_client: OpenClient
) -> None:
    async with open_client(ToolEngine(ROME)) as client:
        run, _ = await client.done("Hello", tools=[WEATHER])
    engine = ToolEngine(ROME)
    async with open_client(engine) as client:
        await trio.sleep(1)
        assert client.store.runs.get(run.thread_id, run.id) == run
        ended, _ = await submit(client, run, "warm")
        assert ended.status is RunStatus.COMPLETED
        assert client.answers(run) == ["Results: warm"]
        assert len(engine.requests) == 1


@pytest.mark.parametrize("seconds", [0.5, 2.0, 8.0, 20.0, 70.0, 75.0])
async def test_a_run_that_was_interrupted_goes_on_behind_its_last_round(
    clock: MockClock, open_client: OpenClient, seconds: float
) -> None:
    """Interrupted in the text before a call, in the call, or in the answer; each part is there once in the end."""
    replies = f"Let me see.\n{ROME}", "It is warm."
    async with open_client(ToolEngine(*replies, delay_s=1.0)) as client:
        run, live, _ = await client.start("Hello", tools=[WEATHER])
        await trio.sleep(seconds)
        live.scope.cancel()  # as the end of the server would
        live.given_back = True
    async with open_client(ToolEngine(*replies)) as client:
        await trio.sleep(1)
        waiting = client.store.runs.get(run.thread_id, run.id)
        ended, _ = await submit(client, waiting, "warm")
        assert ended.status is RunStatus.COMPLETED
        assert client.answers(run) == ["Let me see.", "It is warm."]
        steps = client.store.steps.list(run.thread_id, run.id)
        assert [one.type for one in steps] == ["message_creation", "tool_calls", "message_creation"]
        assert all(one.status is RunStepStatus.COMPLETED for one in steps)
        assert steps[-1].message_id == client.store.messages.list(run.thread_id)[-1].id


async def test_outputs_that_were_stored_only_in_part_can_be_sent_again(
    clock: MockClock, open_client: OpenClient
) -> None:
    async with open_client(ToolEngine(ROME)) as client:
        run, _ = await client.done("Hello", tools=[WEATHER])
        (step,) = client.store.steps.list(run.thread_id, run.id)
        done = transitions.submitted(step, [(asked(run)[0]["id"], "lost")], client.store.now())
        client.store.steps.replace(done)  # the server is killed before it stores the run
    async with open_client(ToolEngine(ROME)) as client:
        ended, _ = await submit(client, run, "warm")
        assert ended.status is RunStatus.COMPLETED
        assert client.answers(run) == ["Results: warm"]


async def test_every_reply_of_a_run_has_a_seed_that_follows_from_the_stored_one(
    clock: MockClock, open_client: OpenClient
) -> None:
    engine = ToolEngine(ROME)
    async with open_client(engine) as client:
        run, _ = await client.done("Hello", tools=[WEATHER])
        await submit(client, run, "warm")
    assert run.seed is not None
    assert [request.sampling.seed for request in engine.requests] == [run.seed, (run.seed + 1) % 2**63]


async def test_a_run_is_told_to_those_who_join_it_as_to_those_who_followed_it(
    clock: MockClock, open_client: OpenClient
) -> None:
    async with open_client(ToolEngine(f"Let me see.\n{ROME}")) as client:
        run, first = await client.done("Hello", tools=[WEATHER])
        ended, second = await submit(client, run, "warm")
        whole = first + second
        _, joined = await client.assistants.join(run.thread_id, run.id, None)
        assert [event async for event in joined] == whole
    async with open_client() as client:  # after a restart, from what is stored
        _, joined = await client.assistants.join(run.thread_id, run.id, None)
        found = [event async for event in joined]

    def shape(events: list[ev.RunEvent]) -> list[str]:
        """Without the question to the client, which has been answered, and with deltas in one piece."""
        kinds = names(events)
        if "RequiresAction" in kinds:
            at = kinds.index("RequiresAction")
            kinds = [*kinds[:at], "StepEnded", *kinds[at + 4 :]]
        return [kind for n, kind in enumerate(kinds) if kind not in ("MessageDelta", "ArgumentsDelta")]

    assert shape(found) == shape(whole)
    assert isinstance(found[-1], ev.Completed)
    assert found[-1].run == ended
    for kind in (ev.MessageDelta, ev.ArgumentsDelta):
        assert "".join(e.text for e in found if isinstance(e, kind)) == "".join(
            e.text for e in whole if isinstance(e, kind)
        )


async def test_queued_runs_of_a_thread_wait_for_their_turn(clock: MockClock, open_client: OpenClient) -> None:
    engine = ToolEngine(delay_s=0.1)
    async with open_client(engine, queue_runs=True) as client:
        first, _, _ = await client.start("first")
        made = []
        for text in ("second", "third"):
            run, _ = await client.assistants.create_run(a_run(first.thread_id), [a_message(text)])
            made.append(run)
        added: list[str] = []

        async def add() -> None:
            message = await client.assistants.add_message(first.thread_id, a_message("fourth"))
            added.append(message.text_content)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(add)
            await trio.sleep(0.5)
            assert [m.text_content for m in client.store.messages.list(first.thread_id)] == ["first"]
            assert added == []
        texts = [m.text_content for m in client.store.messages.list(first.thread_id)]
        assert texts == ["first", "Results: ", "second", "Results: ", "third", "Results: ", "fourth"]
        assert all(client.store.runs.get(run.thread_id, run.id).status is RunStatus.COMPLETED for run in made)
        assert max(engine.prompt_text(request).count("<user>") for request in engine.requests) == 3


async def test_a_message_does_not_wait_for_a_run_that_waits_for_its_client(
    clock: MockClock, open_client: OpenClient
) -> None:
    async with open_client(ToolEngine(ROME), queue_runs=True) as client:
        run, _ = await client.done("Hello", tools=[WEATHER])
        with pytest.raises(StateConflictError, match="Can't add messages"):
            await client.assistants.add_message(run.thread_id, a_message())


async def test_a_message_that_waits_is_refused_once_the_run_waits_for_its_client(
    clock: MockClock, open_client: OpenClient
) -> None:
    """The client that must answer may be the one whose message waits."""
    async with open_client(ToolEngine(ROME, delay_s=0.1), queue_runs=True) as client:
        run, _, _ = await client.start("Hello", tools=[WEATHER])
        await client.assistants.create_run(a_run(run.thread_id))
        with trio.fail_after(60), pytest.raises(StateConflictError, match="Can't add messages"):
            await client.assistants.add_message(run.thread_id, a_message())
        assert client.store.runs.get(run.thread_id, run.id).status is RunStatus.REQUIRES_ACTION


async def test_queued_runs_outlive_a_restart_with_their_messages(clock: MockClock, open_client: OpenClient) -> None:
    async with open_client(ToolEngine(hang_in_prefill=True), queue_runs=True) as client:
        first, _, _ = await client.start("first")
        await client.assistants.create_run(a_run(first.thread_id), [a_message("second")])
        await trio.sleep(1)
    async with open_client(ToolEngine(), queue_runs=True) as client:
        await trio.sleep(5)
        texts = [m.text_content for m in client.store.messages.list(first.thread_id)]
        assert texts == ["first", "Results: ", "second", "Results: "]


@pytest.fixture
def slow_first_creation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first queued run is stored at once, but its creator hears of it late."""
    inline, slow = Offload.__call__, [True]

    async def call(self: Offload, function: Callable[..., Any], *args: object, **changes: object) -> Any:
        result = await inline(self, function, *args, **changes)
        if getattr(getattr(function, "func", None), "__name__", "") == "create" and slow:
            slow.clear()
            await trio.sleep(1)
        return result

    monkeypatch.setattr(Offload, "__call__", call)


async def test_runs_created_at_once_are_executed_in_the_order_of_the_store(
    clock: MockClock, open_client: OpenClient, slow_first_creation: None
) -> None:
    engine = ToolEngine(delay_s=0.1)
    async with open_client(engine, queue_runs=True) as client, trio.open_nursery() as nursery:
        first, _, _ = await client.start("first")
        for text in ("second", "third"):
            nursery.start_soon(client.assistants.create_run, a_run(first.thread_id), [a_message(text)])
            await trio.sleep(0.1)
        await trio.sleep(30)
        runs = client.store.runs.list(first.thread_id)
        assert [run.status for run in runs] == [RunStatus.COMPLETED] * 3
        assert len(client.answers(first)) == 3


async def test_a_message_waits_for_a_run_that_is_being_created(
    clock: MockClock, open_client: OpenClient, slow_first_creation: None
) -> None:
    async with open_client(ToolEngine(delay_s=0.1), queue_runs=True) as client, trio.open_nursery() as nursery:
        thread = client.store.threads.create(a_thread())
        nursery.start_soon(client.assistants.create_run, a_run(thread.id), [a_message("first")])
        await trio.sleep(0.1)
        await client.assistants.add_message(thread.id, a_message("second"))
        texts = [m.text_content for m in client.store.messages.list(thread.id)]
        assert texts == ["first", "Results: ", "second"]


def test_names_of_functions_do_not_hide_the_search() -> None:
    found = offered([function("file_search"), {"type": "file_search"}])
    assert [tool.name for tool in found.options.tools] == ["file_search", "search_files"]
    assert found.search == "search_files"
