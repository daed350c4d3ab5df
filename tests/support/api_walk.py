"""Walks through the Assistants API in this process: a server that is stopped and killed, compared with a model."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import trio
from trio.testing import wait_all_tasks_blocked

from oxillama.assistants.service import open_assistants
from oxillama.files.service import open_files
from oxillama.server import ServerConfig, create_app
from oxillama.storage.data_dir import open_data_dir
from tests.support.api_model import LIFETIME_S, Model, RunModel, ThreadModel
from tests.support.asgi_client import ASGIClient
from tests.support.assistants_api import Api
from tests.support.records import NOW
from tests.support.tool_runs import ToolEngine, call

if TYPE_CHECKING:
    from oxillama.engine.api.types import GenerationRequest


class Engine(ToolEngine):
    """Calls as often as the instructions say, then answers with the results. A closed gate holds every reply."""

    def __init__(self) -> None:
        super().__init__(n_slots=1000, n_ctx=100_000)
        self.gate = trio.Event()
        self.gate.set()

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        async with super()._slot():
            await self.gate.wait()
            yield

    def _next(self, request: GenerationRequest) -> str:
        prompt = self.prompt_text(request)
        rounds, calls, mark = re.findall(r"rounds=(\d) calls=(\d) mark=(\w+)", prompt)[-1]
        outputs = re.findall(rf"<tool>({mark}-\d+-\d+)</tool>", prompt)
        if len(outputs) < int(rounds) * int(calls):
            return "\n".join(call("weather", city=f"c{n}") for n in range(int(calls)))
        return "Results: " + ", ".join(outputs)


class ApiWalk:
    """One sequence. A subclass has the steps: a method of the API each, and how often it comes."""

    STEPS: ClassVar[dict[Callable[[Any], Awaitable[None]], int]] = {}

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.rng = rng
        self.model = Model()
        self.trace: list[str] = []
        self._folder = folder
        self._starts = 0
        self._marks = 0
        self._mark_of: dict[str, str] = {}  # run → what its outputs begin with
        self.directory = folder / "0"

    def now(self) -> float:
        return NOW + trio.current_time()

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        config = ServerConfig(log_level="error")
        self.engine = Engine()
        if self.model.held:
            self.engine.gate = trio.Event()
        app = create_app(config, engine=self.engine)
        async with (
            open_data_dir(self.directory, durability="os") as data,  # power cuts are tested elsewhere
            open_files(data, clock=self.now) as files,
            open_assistants(data, self.engine, clock=self.now, lifetime=LIFETIME_S) as assistants,
        ):
            app.state.data, app.state.files, app.state.assistants = data, files, assistants
            app.state.attach(self.engine)
            self.api = Api(ASGIClient(app))
            await wait_all_tasks_blocked()
            yield

    async def run(self, steps: int) -> None:
        """Make so many steps."""
        left = steps
        while left > 0:
            async with self._serving():
                await self._settled()
                await self._everything()
                while left > 0:
                    left -= 1
                    if self.rng.random() < 0.02:
                        await self._stop()
                        break
                    step = self.rng.choices(list(self.STEPS), list(self.STEPS.values()))[0]
                    self.trace.append(step.__name__)
                    await step(self)
                    await self._settled()
                    if left % 100 == 0:
                        await self._everything()

    async def _stop(self) -> None:
        """End the server: in order, or as a killed one leaves its directory."""
        crashed = self.rng.random() < 0.7
        self.trace.append("crash" if crashed else "restart")
        if crashed:
            self._starts += 1
            copy = self._folder / str(self._starts)
            shutil.copytree(self.directory, copy)
            self.directory = copy
        self.model.restart(crashed=crashed)

    async def _settled(self) -> None:
        await wait_all_tasks_blocked()
        self.model.settle(self.now())
        for thread in self.model.threads.values():
            for run in thread.runs:
                if run.status == "requires_action" and not run.asked:
                    found = await self.api.get(f"/threads/{thread.id}/runs/{run.id}")
                    assert found["status"] == "requires_action", found
                    calls = found["required_action"]["submit_tool_outputs"]["tool_calls"]
                    assert [one["function"]["name"] for one in calls] == ["weather"] * run.calls
                    run.asked = [one["id"] for one in calls]

    # ---------------------------------------------------------------------------------------------------- comparisons

    async def _everything(self) -> None:
        listed = await self.api.get("/assistants", order="asc", limit=100)
        assert {one["id"]: self._known(one) for one in listed["data"]} == self.model.assistants
        assert [one["id"] for one in listed["data"]] == list(self.model.assistants)
        for thread in self.model.threads.values():
            await self._compare(thread)

    @staticmethod
    def _known(assistant: dict[str, Any]) -> dict[str, Any]:
        return {key: assistant[key] for key in ("name", "metadata", "instructions")}

    async def _look_at(self, thread: ThreadModel) -> None:
        """Compare now and then, since a comparison costs more than a step; always if ids are not known yet."""
        if self.rng.random() < 0.25 or any(message["id"] is None for message in thread.messages):
            await self._compare(thread)

    async def _compare(self, thread: ThreadModel) -> None:
        path = f"/threads/{thread.id}"
        assert (await self.api.get(path))["metadata"] == thread.metadata
        messages = (await self.api.get(f"{path}/messages", order="asc", limit=100))["data"]
        shown = [
            {
                "role": one["role"], "text": one["content"][0]["text"]["value"], "metadata": one["metadata"],
                "run_id": one["run_id"], "id": one["id"],
            }
            for one in messages
        ]  # fmt: skip
        assert len(shown) == len(thread.messages), (shown, thread.messages)
        for one, wanted in zip(shown, thread.messages, strict=True):
            wanted["id"] = wanted["id"] or one["id"]  # of an answer, which is seen here first
            assert one == wanted
        runs = (await self.api.get(f"{path}/runs", order="asc", limit=100))["data"]
        assert [(one["id"], one["status"]) for one in runs] == [(run.id, run.status) for run in thread.runs]
        for one, run in zip(runs, thread.runs, strict=True):
            self._compare_times(one, run)
        if thread.runs:
            await self._compare_steps(thread, self.rng.choice(thread.runs))

    def _compare_times(self, found: dict[str, Any], run: RunModel) -> None:
        assert found["metadata"] == run.metadata
        assert (found["required_action"] is not None) == (run.status == "requires_action")
        assert (found["expires_at"] is not None) == run.is_active
        assert (found["completed_at"] is not None) == (run.status == "completed")
        assert (found["cancelled_at"] is not None) == (run.status == "cancelled")
        assert (found["failed_at"] is not None) == (run.status == "failed")
        assert (found["last_error"] is not None) == (run.status in ("failed", "expired"))

    async def _compare_steps(self, thread: ThreadModel, run: RunModel) -> None:
        steps = (await self.api.get(f"/threads/{thread.id}/runs/{run.id}/steps", order="asc"))["data"]
        shown = [(one["type"], one["status"]) for one in steps]
        if run.status == "in_progress" and self.model.held:
            shown = [one for one in shown if one[1] != "in_progress"]  # it may have begun the next one
        if run.status in ("cancelled", "expired", "failed"):
            shown = shown[: len(run.steps)]  # the same one, ended
        assert shown == run.steps
        outputs = [c["function"]["output"] for one in steps if one["type"] == "tool_calls"
                   for c in one["step_details"]["tool_calls"] if c["function"]["output"] is not None]  # fmt: skip
        assert outputs == run.outputs
