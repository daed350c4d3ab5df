"""A data directory of the version before collections still opens, lists its objects and accepts changes.

`earlier_data.json` was written by that version's own store (path to content; a path that ends in a slash is an empty
directory): two assistants, a conversation with two ended runs, and a run in each state that a crash leaves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from oxillama.assistants.records import RunStatus, RunStepStatus
from oxillama.assistants.store.store import Store
from tests.support.fake_engine import FakeEngine
from tests.support.records import NOW, a_message

if TYPE_CHECKING:
    from trio.testing import MockClock

EARLIER = Path(__file__).with_name("earlier_data.json")


def an_id(kind: str, number: int) -> str:
    return f"{kind}_{number:024}"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, content in json.loads(EARLIER.read_text(encoding="utf-8")).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.write_text(content, encoding="utf-8")
    return tmp_path


def test_everything_is_listed_as_it_was_stored(data: Path) -> None:
    store = Store(str(data), clock=lambda: NOW)
    plain, full = store.assistants.list()
    assert (plain.name, plain.instructions, plain.metadata) == ("Plain", "Be kind.", {"changed": "yes"})
    assert (full.name, full.model, full.temperature, full.top_p) == ("Tööls", "a-model-of-another-day", 0.3, 0.9)
    assert [tool["type"] for tool in full.tools] == ["function", "file_search"]
    assert (full.response_format, full.reasoning_effort) == ({"type": "json_object"}, "low")

    talk = an_id("thread", 1)
    assert store.threads.get(talk).metadata == {"topic": "Wörter", "n": "2"}
    messages = store.messages.list(talk)
    assert [m.text_content for m in messages] == ["first 🙂", "twoparts", "answer 1", "answer 2"]
    assert [m.status for m in messages] == ["completed", "completed", "completed", "incomplete"]
    assert messages[1].metadata == {"a": "b"}
    runs = store.runs.list(talk)
    assert [(run.status, run.sequence) for run in runs] == [(RunStatus.COMPLETED, 0), (RunStatus.CANCELLED, 1)]
    steps = [store.steps.list(talk, run.id) for run in runs]
    assert [[step.status for step in of_run] for of_run in steps] == [
        [RunStepStatus.COMPLETED],
        [RunStepStatus.CANCELLED],
    ]
    assert [of_run[0].message_id for of_run in steps] == [message.id for message in messages[2:]]


def test_unfinished_runs_are_settled(data: Path) -> None:
    store = Store(str(data), clock=lambda: NOW + 60)
    assert {run.id for run in store.recover()} == {an_id("run", n) for n in (20, 30, 40)}
    ends = {n: store.runs.get(an_id("thread", n), an_id("run", 10 * n)).status for n in range(2, 7)}
    assert ends == {
        2: RunStatus.QUEUED,
        3: RunStatus.QUEUED,
        4: RunStatus.QUEUED,
        5: RunStatus.COMPLETED,
        6: RunStatus.CANCELLED,
    }
    store.messages.append(an_id("thread", 6), a_message("the thread is free"))


async def test_queued_runs_are_executed(data: Path, clock: MockClock, open_client: Any) -> None:
    engine = FakeEngine(reply="late")
    async with open_client(engine) as client:
        await trio.sleep(20)
        for n in (2, 3):
            run = client.store.runs.get(an_id("thread", n), an_id("run", 10 * n))
            assert (run.status, client.answers(run)) == (RunStatus.COMPLETED, ["late"])
        (step,) = client.store.steps.list(an_id("thread", 3), an_id("run", 30))
        assert (step.status, step.id) == (RunStepStatus.COMPLETED, an_id("step", 30))
    prompts = [engine.prompt_text(request) for request in engine.requests]  # in no particular order
    assert any("addition" in prompt for prompt in prompts)
