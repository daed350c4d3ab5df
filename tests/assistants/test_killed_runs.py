"""Runs whose server is killed between any two changes on disk: each finishes exactly once, with all that was told."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio

from oxillama.assistants.records import FileSearchToolCall, FunctionToolCall, RunStatus, RunStepStatus
from oxillama.assistants.run import events as ev
from oxillama.assistants.service import open_assistants
from oxillama.concurrency import Offload
from oxillama.errors import ObjectNotFoundError
from oxillama.storage.data_dir import open_data_dir
from tests.support.assistants import Client
from tests.support.records import NOW
from tests.support.tool_runs import RIVERS, SEARCH, WEATHER, FakeSearch, ToolEngine, call

if TYPE_CHECKING:
    from pathlib import Path

    from trio.testing import MockClock

REPLIES = f"Let me see.\n{call('weather', city='Rome')}", f"{call('file_search', query='rivers')}", "It is warm."
OUTPUT = "21 degrees"


class Killings:
    """A copy of the data directory after each change, as a server that is killed there leaves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.copies: list[tuple[Path, bool]] = []
        """Each copy, and whether the client's outputs had been acknowledged by then."""
        self.acknowledged = False
        self.recording = False

    def note(self) -> None:
        if self.recording:
            copy = self.folder / f"killed-{len(self.copies)}"
            shutil.copytree(self.data, copy)
            self.copies.append((copy, self.acknowledged))


@pytest.fixture
def killings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killings:
    """Calls of the store run in the event loop's thread, and the directory is copied after each."""
    found = Killings(tmp_path)

    async def inline(self: Offload, function: Callable[..., Any], *args: object, **changes: object) -> Any:
        await trio.lowlevel.checkpoint()
        result = function(*args, **changes)
        found.note()
        return result

    monkeypatch.setattr(Offload, "__call__", inline)
    return found


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Client, ToolEngine]]:
    engine, start = ToolEngine(*REPLIES), trio.current_time()
    async with (
        open_data_dir(folder) as data,
        open_assistants(
            data, engine, search=FakeSearch("The Tiber."), clock=lambda: NOW + trio.current_time() - start
        ) as assistants,
    ):
        yield Client(assistants), engine


async def submit(client: Client, run: Any) -> list[ev.RunEvent]:
    (asked,) = run.required_action["submit_tool_outputs"]["tool_calls"]
    _, subscription = await client.assistants.submit_outputs(run.thread_id, run.id, [(asked["id"], OUTPUT)])
    return [event async for event in subscription]


async def test_a_run_with_tools_that_is_killed_between_any_two_changes_finishes_once(
    clock: MockClock, killings: Killings
) -> None:
    async with opened(killings.data) as (client, _):
        killings.recording = True
        run, _, subscription = await client.start("Is it warm?", tools=[WEATHER, SEARCH], tool_resources=RIVERS)
        async for event in subscription:
            if isinstance(event, ev.RequiresAction):
                waiting = event.run
        assert waiting.required_action is not None
        (asked,) = waiting.required_action["submit_tool_outputs"]["tool_calls"]
        _, rest = await client.assistants.submit_outputs(run.thread_id, run.id, [(asked["id"], OUTPUT)])
        killings.acknowledged = True
        assert isinstance([event async for event in rest][-1], ev.Completed)
        killings.recording = False

    assert len(killings.copies) > 20
    asked_again = 0
    for copy, acknowledged in killings.copies:
        async with opened(copy) as (client, _):
            await trio.sleep(1)
            try:
                found = client.store.runs.list(run.thread_id)
            except ObjectNotFoundError:
                continue  # not even the thread was acknowledged
            if not found:
                continue
            if found[0].status is RunStatus.REQUIRES_ACTION:
                assert not acknowledged, f"{copy.name}: asked again for what was acknowledged"
                asked_again += 1
                await submit(client, found[0])
            ended = client.store.runs.get(run.thread_id, run.id)
            assert (ended.status, ended.last_error) == (RunStatus.COMPLETED, None), copy.name
            assert client.answers(run) == ["Let me see.", "It is warm."], copy.name
            steps = client.store.steps.list(run.thread_id, run.id)
            assert [step.type for step in steps] == [
                "message_creation", "tool_calls", "tool_calls", "message_creation",
            ], copy.name  # fmt: skip
            assert all(step.status is RunStepStatus.COMPLETED for step in steps)
            (called,), (searched,) = steps[1].tool_calls, steps[2].tool_calls
            assert isinstance(called, FunctionToolCall)
            assert called.function.output == OUTPUT
            assert isinstance(searched, FileSearchToolCall)
            assert [result.file_id for result in searched.file_search.results] == ["file-0"]
            assert len({step.id for step in steps}) == 4
            _, joined = await client.assistants.join(run.thread_id, run.id, None)
            assert isinstance([event async for event in joined][-1], ev.Completed)
        shutil.rmtree(copy)
    assert asked_again > 5


async def test_the_same_text_is_written_again_because_the_seed_is_stored(
    clock: MockClock, killings: Killings
) -> None:
    async with opened(killings.data) as (client, engine):
        killings.recording = True
        run, _ = await client.done("Is it warm?", tools=[WEATHER])
        killings.recording = False
    seeds = [request.sampling.seed for request in engine.requests]
    for copy, _ in killings.copies:
        async with opened(copy) as (client, again):
            await trio.sleep(1)
            assert [request.sampling.seed for request in again.requests] in ([], seeds)
        shutil.rmtree(copy)
    assert seeds == [run.seed]
