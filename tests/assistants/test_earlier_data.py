"""A data directory of the version before the database is taken over whole, also across a power cut.

`earlier_data.json` was written by that version's own store (path to content; a path that ends in a slash is an empty
directory): two assistants, a conversation with two ended runs, and a run in each state that a crash leaves.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from oxillama.assistants.records import RunStatus, RunStepStatus
from oxillama.errors import ObjectNotFoundError, StoreDamagedError, StoreError
from tests.support.fake_engine import FakeEngine
from tests.support.places import at
from tests.support.records import NOW, a_message
from tests.support.simulated_disk import PowerCut, SimulatedDisk
from tests.support.stores import open_store

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
    store = open_store(data)
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
    assert [run.status for run in runs] == [RunStatus.COMPLETED, RunStatus.CANCELLED]
    steps = [store.steps.list(talk, run.id) for run in runs]
    assert [[step.status for step in of_run] for of_run in steps] == [
        [RunStepStatus.COMPLETED],
        [RunStepStatus.CANCELLED],
    ]
    assert [of_run[0].message_id for of_run in steps] == [message.id for message in messages[2:]]


def test_unfinished_runs_are_settled(data: Path) -> None:
    store = open_store(data, now=NOW + 60)
    assert [run.id for run in store.recover()] == [an_id("run", n) for n in (20, 30, 40)]
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


def test_the_old_directories_are_gone_and_what_is_deleted_stays_deleted(data: Path) -> None:
    open_store(data).threads.delete(an_id("thread", 1))
    assert sorted(path.name for path in data.iterdir() if not path.name.startswith("store.db")) == ["lock", "reserve"]
    with pytest.raises(ObjectNotFoundError):
        open_store(data).threads.get(an_id("thread", 1))


def test_a_run_that_had_been_given_up_keeps_the_end_that_its_client_saw(data: Path) -> None:
    (data / "active" / f"{an_id('run', 20)}.json").unlink()
    store = open_store(data)
    assert [run.id for run in store.recover()] == [an_id("run", n) for n in (30, 40)]
    assert store.runs.get(an_id("thread", 2), an_id("run", 20)).status is RunStatus.FAILED


@pytest.mark.parametrize("garbage", [b"", b"{", b"\0" * 50, b"[]", b'{"id": 3}', b"\xff\xff", b"[" * 100_000])
def test_what_is_damaged_is_reported_and_kept_under_another_name(data: Path, garbage: bytes) -> None:
    talk = data / "threads" / an_id("thread", 1)
    (talk / "meta.json").write_bytes(garbage)
    (data / "assistants" / f"{an_id('asst', 1)}.json").write_bytes(garbage)
    store = open_store(data)
    with pytest.raises(StoreDamagedError, match=an_id("thread", 1)):
        store.threads.get(an_id("thread", 1))
    with pytest.raises(StoreDamagedError, match=an_id("asst", 1)):
        store.assistants.get(an_id("asst", 1))
    assert [assistant.name for assistant in store.assistants.list()] == ["Tööls"]
    assert (data / "threads.earlier" / talk.name / "meta.json").read_bytes() == garbage
    assert len(store.messages.list(an_id("thread", 2))) == 2
    assert len(open_store(data).recover()) == 3  # nothing is taken over twice


def test_messages_behind_a_damaged_line_are_not_shown_without_saying_so(data: Path) -> None:
    log = data / "threads" / an_id("thread", 1) / "messages.jsonl"
    lines = log.read_bytes().split(b"\n")
    assert b"two" in lines[2]
    lines[2] = lines[2].replace(b"two", b"owt")
    log.write_bytes(b"\n".join(lines))
    store = open_store(data)
    with pytest.raises(StoreDamagedError):
        store.messages.list(an_id("thread", 1))
    assert store.messages.get(an_id("thread", 1), an_id("msg", 1)).text_content == "first 🙂"


def test_a_torn_last_line_is_no_message(data: Path) -> None:
    log = data / "threads" / an_id("thread", 2) / "messages.jsonl"
    log.write_bytes(log.read_bytes() + b'{"crc32":"9ae0f1c4","byt')
    assert len(open_store(data).messages.list(an_id("thread", 2))) == 2


def simulated(data: Path) -> SimulatedDisk:
    """The directory on a simulated disk, as /data."""
    disk = SimulatedDisk()
    disk.mkdir("/data")
    for path in sorted(data.rglob("*")):
        place = f"/data/{path.relative_to(data)}"
        if path.is_dir():
            disk.mkdir(place)
        else:
            fd = disk.open(place, os.O_WRONLY | os.O_CREAT)
            disk.write(fd, path.read_bytes())
            disk.fsync(fd)
            disk.close(fd)
    for path in filter(Path.is_dir, data.rglob("*")):
        disk.fsync_dir(f"/data/{path.relative_to(data)}")
    disk.fsync_dir("/data")
    disk.fsync_dir("/")
    disk.calls = 0
    return disk


def contents(disk: SimulatedDisk) -> list[Any]:
    store = open_store(disk)
    found: list[Any] = [store.recover(), store.assistants.list()]
    for n in range(1, 7):
        thread = an_id("thread", n)
        runs = store.runs.list(thread)
        steps = [store.steps.list(thread, run.id) for run in runs]
        found += [store.threads.get(thread), store.messages.list(thread), runs, steps]
    return found


def test_taking_over_survives_a_power_cut_at_any_call(data: Path) -> None:
    disk = simulated(data)
    expected = contents(disk)
    steps = disk.calls
    for cut in range(1, steps + 1, 5):
        disk = simulated(data)
        disk.power_fails_at = cut
        with contextlib.suppress(PowerCut, StoreError, ObjectNotFoundError):
            open_store(disk)
        with at(cut=cut):
            assert contents(disk.after_power_cut(random.Random(cut))) == expected
