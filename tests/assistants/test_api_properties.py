"""Random sequences of API calls, with tools, cancels, expiry, deletes, pages and crashes, against a model."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.support.api_model import LIFETIME_S, RunModel, ThreadModel, paged
from tests.support.api_walk import ApiWalk
from tests.support.tool_runs import WEATHER

MOST_THREADS, MOST_ASSISTANTS, MOST_MESSAGES = 8, 12, 40
UNKNOWN = "0" * 24


@pytest.fixture
def clock() -> MockClock:
    """A clock that only the test moves."""
    return MockClock()


class Walk(ApiWalk):
    """The steps."""

    def _thread(self) -> ThreadModel | None:
        return self.rng.choice(list(self.model.threads.values())) if self.model.threads else None

    def _metadata(self) -> dict[str, str]:
        return {f"k{self.rng.randrange(3)}": self.rng.choice(["", "v", "é🙂"]) for _ in range(self.rng.randrange(3))}

    async def create_assistant(self) -> None:
        if len(self.model.assistants) >= MOST_ASSISTANTS:
            await self.delete_assistant()
        body = {"model": "fake-model", "name": self.rng.choice([None, "n"]), "metadata": self._metadata()}
        made = await self.api.post("/assistants", body)
        self.model.assistants[made["id"]] = {"name": body["name"], "metadata": body["metadata"], "instructions": None}

    async def modify_assistant(self) -> None:
        if not self.model.assistants:
            return
        chosen = self.rng.choice(list(self.model.assistants))
        possible: list[dict[str, Any]] = [{"name": "other"}, {"metadata": self._metadata()}, {"instructions": "x"}]
        changes = self.rng.choice(possible)
        await self.api.post(f"/assistants/{chosen}", changes)
        self.model.assistants[chosen] |= changes

    async def delete_assistant(self) -> None:
        if self.model.assistants:
            chosen = self.rng.choice(list(self.model.assistants))
            del self.model.assistants[chosen]
            await self.api.delete(f"/assistants/{chosen}")
            error = (await self.api.get(f"/assistants/{chosen}", status=404))["error"]
            assert error["message"] == f"No assistant found with id '{chosen}'."

    async def create_thread(self) -> None:
        if len(self.model.threads) >= MOST_THREADS:
            await self.delete_thread()
        texts = [f"t{n}" for n in range(self.rng.randrange(4))]
        body = {"messages": [{"role": "user", "content": text} for text in texts], "metadata": self._metadata()}
        made = await self.api.post("/threads", body)
        thread = ThreadModel(made["id"], body["metadata"])  # type: ignore[arg-type]
        for text in texts:
            thread.messages.append({"role": "user", "text": text, "metadata": {}, "run_id": None, "id": None})
        self.model.threads[thread.id] = thread
        await self._look_at(thread)

    async def modify_thread(self) -> None:
        if thread := self._thread():
            thread.metadata = self._metadata()
            await self.api.post(f"/threads/{thread.id}", {"metadata": thread.metadata})

    async def delete_thread(self) -> None:
        if thread := self._thread():
            del self.model.threads[thread.id]
            await self.api.delete(f"/threads/{thread.id}")
            for path in ("", "/messages", "/runs"):
                error = (await self.api.get(f"/threads/{thread.id}{path}", status=404))["error"]
                assert error["message"] == f"No thread found with id '{thread.id}'."

    async def add_message(self) -> None:
        thread = self._thread()
        if thread is None or len(thread.messages) >= MOST_MESSAGES:
            return
        role, metadata = self.rng.choice(["user", "assistant"]), self._metadata()
        text = f"m{self.rng.randrange(1000)}"
        body = {"role": role, "content": text, "metadata": metadata}
        path = f"/threads/{thread.id}/messages"
        if active := thread.active:
            error = await self.api.refused(path, body)
            assert error["message"] == f"Can't add messages to {thread.id} while a run {active.id} is active."
        else:
            made = await self.api.post(path, body)
            thread.messages.append(
                {"role": role, "text": text, "metadata": metadata, "run_id": None, "id": made["id"]}
            )
        await self._look_at(thread)

    async def change_message(self) -> None:
        thread = self._thread()
        if thread is None or not thread.messages:
            return
        await self._look_at(thread)
        chosen = self.rng.choice(thread.messages)
        path = f"/threads/{thread.id}/messages/{chosen['id']}"
        if self.rng.random() < 0.5:
            chosen["metadata"] = self._metadata()
            await self.api.post(path, {"metadata": chosen["metadata"]})
        else:
            thread.messages.remove(chosen)
            await self.api.delete(path)
            assert "No message found" in (await self.api.get(path, status=404))["error"]["message"]
        await self._look_at(thread)

    async def create_run(self) -> None:
        thread = self._thread()
        if thread is None or len(thread.runs) >= MOST_MESSAGES:
            return
        path = f"/threads/{thread.id}/runs"
        if not self.model.assistants or self.rng.random() < 0.05:
            error = await self.api.refused(path, {"assistant_id": f"asst_{UNKNOWN}"}, status=404)
            assert error["message"] == f"No assistant found with id 'asst_{UNKNOWN}'."
            return
        rounds, calls = self.rng.choice([(0, 1), (0, 1), (1, 1), (1, 2), (2, 1)])
        self._marks += 1
        added = [f"a{n}" for n in range(self.rng.randrange(2))]
        body: dict[str, Any] = {
            "assistant_id": self.rng.choice(list(self.model.assistants)),
            "instructions": f"rounds={rounds} calls={calls} mark=r{self._marks}x", "tools": [WEATHER],
            "metadata": self._metadata(),
            "additional_messages": [{"role": "user", "content": text} for text in added],
        }  # fmt: skip
        if active := thread.active:
            error = await self.api.refused(path, body)
            assert error["message"] == f"Thread {thread.id} already has an active run {active.id}."
        else:
            found = await self._begun(path, body)
            run = RunModel(found["id"], found["created_at"], rounds, calls, found["created_at"] + LIFETIME_S)
            run.metadata = body["metadata"]
            for text in added:
                thread.messages.append({"role": "user", "text": text, "metadata": {}, "run_id": None, "id": None})
            thread.runs.append(run)
            self._mark_of[run.id] = f"r{self._marks}x"
        await self._settled()
        await self._look_at(thread)

    async def _begun(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The run as it was created; some are streamed."""
        if self.model.held or self.rng.random() < 0.7:
            return dict(await self.api.post(path, body))
        events = await self.api.events(path, body | {"stream": True})
        assert [name for name, _ in events[:3]] == [
            "thread.run.created", "thread.run.queued", "thread.run.in_progress"
        ]  # fmt: skip
        assert events[-1][0] == "done"
        assert events[-2][0] in ("thread.run.completed", "thread.run.requires_action")
        return dict(events[0][1])

    async def submit_outputs(self) -> None:
        waiting = [(t, r) for t in self.model.threads.values() for r in t.runs if r.status == "requires_action"]
        if not waiting or self.rng.random() < 0.1:
            await self._submit_to_one_that_does_not_wait()
            return
        thread, run = self.rng.choice(waiting)
        path = f"/threads/{thread.id}/runs/{run.id}/submit_tool_outputs"
        if self.rng.random() < 0.2:
            wrong = [*run.asked[:-1], *self.rng.choice([[], ["call_x"], [run.asked[-1]] * 2])]
            error = await self.api.refused(path, {"tool_outputs": [{"tool_call_id": c, "output": ""} for c in wrong]})
            assert error["message"] == f"Expected tool outputs for call_ids {run.asked}, got {wrong}"
            return
        outputs = [f"{self._mark_of[run.id]}-{run.done}-{n}" for n in range(run.calls)]
        pairs = [{"tool_call_id": c, "output": o} for c, o in zip(run.asked, outputs, strict=True)]
        self.rng.shuffle(pairs)
        await self.api.post(path, {"tool_outputs": pairs})
        self.model.submit(run, outputs)
        await self._settled()
        await self._look_at(thread)

    async def _submit_to_one_that_does_not_wait(self) -> None:
        others = [(t, r) for t in self.model.threads.values() for r in t.runs if not r.is_active]
        if others:
            thread, run = self.rng.choice(others)
            path = f"/threads/{thread.id}/runs/{run.id}/submit_tool_outputs"
            error = await self.api.refused(path, {"tool_outputs": [{"tool_call_id": "call_x", "output": ""}]})
            assert error["message"] == f'Runs in status "{run.status}" do not accept tool outputs.'

    async def cancel_run(self) -> None:
        thread = self._thread()
        if thread is None or not thread.runs:
            return
        run = thread.active or self.rng.choice(thread.runs)
        path = f"/threads/{thread.id}/runs/{run.id}/cancel"
        if run.is_active:
            found = await self.api.post(path)
            assert found["status"] in ("cancelling", "cancelled")
            self.model.cancel(run)
        else:
            error = await self.api.refused(path)
            assert error["message"] == f"Cannot cancel run with status '{run.status}'."
        await self._settled()
        await self._look_at(thread)

    async def modify_run(self) -> None:
        thread = self._thread()
        if thread is not None and thread.runs:
            run = self.rng.choice(thread.runs)
            run.metadata = self._metadata()
            found = await self.api.post(f"/threads/{thread.id}/runs/{run.id}", {"metadata": run.metadata})
            assert (found["metadata"], found["status"]) == (run.metadata, run.status)

    async def hold_or_release(self) -> None:
        """Stop the engine before its next answers, or let it go on."""
        self.model.held = not self.model.held
        if self.model.held:
            self.engine.gate = trio.Event()
        else:
            self.engine.gate.set()

    async def let_time_pass(self) -> None:
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, MockClock)
        clock.jump(self.rng.choice([1, 30, 300, 700]))

    async def page(self) -> None:
        """A page of a list: with a random limit, order and cursors."""
        thread = self._thread()
        if thread is not None:
            await self._look_at(thread)
        path, items = self.rng.choice(
            [("/assistants", list(self.model.assistants))]
            + ([(f"/threads/{thread.id}/messages", [m["id"] for m in thread.messages]),
                (f"/threads/{thread.id}/runs", [r.id for r in thread.runs])] if thread else [])
        )  # fmt: skip
        wanted: dict[str, Any] = {"order": self.rng.choice(["asc", "desc"]), "limit": self.rng.randrange(1, 8)}
        if items and self.rng.random() < 0.7:
            wanted[self.rng.choice(["after", "before"])] = self.rng.choice(items)
        found = await self.api.get(path, **wanted)
        assert ([one["id"] for one in found["data"]], found["has_more"]) == paged(items, **wanted)


Walk.STEPS = {
    Walk.create_assistant: 3, Walk.modify_assistant: 2, Walk.delete_assistant: 1, Walk.create_thread: 4,
    Walk.modify_thread: 1, Walk.delete_thread: 1, Walk.add_message: 6, Walk.change_message: 3, Walk.create_run: 12,
    Walk.submit_outputs: 10, Walk.cancel_run: 3, Walk.modify_run: 1, Walk.hold_or_release: 3, Walk.let_time_pass: 2,
    Walk.page: 6,
}  # fmt: skip


async def walk(folder: Path, seed: int, steps: int) -> None:
    made = Walk(folder, random.Random(seed))
    try:
        await made.run(steps)
    except BaseException as error:
        error.add_note(f"seed {seed}, the latest steps: {' '.join(made.trace[-12:])}")
        raise


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting for the disk, which would take minutes: what a power cut does is tested elsewhere."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_api_answers_as_its_model(clock: MockClock, inline: None, tmp_path: Path, seed: int) -> None:
    await walk(tmp_path, seed, 120)


@pytest.mark.slow
async def test_the_api_answers_as_its_model_for_10_000_steps(clock: MockClock, inline: None, tmp_path: Path) -> None:
    """About 40 s of processor time. In short walks, since each crash copies a data directory that has grown."""
    seed = int.from_bytes(os.urandom(4))
    for part in range(20):
        await walk(tmp_path / str(part), seed + part, 500)
