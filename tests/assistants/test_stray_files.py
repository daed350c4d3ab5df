"""Foreign files in the data directory do no harm: editors' backups, notes, folders."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from oxillama.assistants.records import Assistant
from oxillama.assistants.store.store import Store
from oxillama.storage.ids import new_id
from tests.support.records import NOW, a_message, a_run, a_step, a_thread

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory with one object of each kind, and a run that has not ended."""
    store = Store(str(tmp_path), clock=lambda: NOW)
    store.assistants.create(Assistant(id=new_id("asst"), created_at=NOW, model="m"))
    thread = store.threads.create(a_thread(), [a_message("Hello")])
    store.steps.append(a_step(store.runs.create(a_run(thread.id))))
    return tmp_path


def contents(data: Path) -> list[object]:
    """Everything that a start and the lists find."""
    store = Store(str(data), clock=lambda: NOW)
    runs = store.recover()
    found: list[object] = [runs, store.assistants.list()]
    for run in runs:
        found += [store.threads.get(run.thread_id), store.messages.list(run.thread_id)]
        found += [store.runs.list(run.thread_id), store.steps.list(run.thread_id, run.id)]
    assert all(found)
    return found


def directories(data: Path) -> list[Path]:
    return [data, *(path for path in sorted(data.rglob("*")) if path.is_dir())]


@pytest.mark.parametrize("name", ["notes.txt", "x.json", ".DS_Store", "lost+found", "Thumbs.db", "two words.json"])
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_stray_file_or_directory_anywhere_is_ignored(
    data: Path, name: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = contents(data)
    for directory in directories(data):
        stray = directory / name
        if kind == "file":
            stray.write_bytes(b"\xff not ours")
        else:
            stray.mkdir()
            (stray / "meta.json").write_text("{}")
    assert contents(data) == expected
    assert caplog.text == ""
    assert all((directory / name).exists() for directory in directories(data) if directory.name != name)


@pytest.mark.parametrize("suffix", [".bak", "~", ".orig", ".tmp", " (copy)", ".json"])
def test_a_copy_of_any_file_or_directory_is_ignored(
    data: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = contents(data)
    for path in sorted(data.rglob("*"), reverse=True):
        copy = path.with_name(path.name + suffix)
        if path.is_dir():
            shutil.copytree(path, copy)
        else:
            shutil.copy(path, copy)
    assert contents(data) == expected
    assert caplog.text == ""


def test_a_directory_in_place_of_a_file_affects_only_that_object(data: Path) -> None:
    expected = contents(data)
    for stray in (f"assistants/{new_id('asst')}.json", f"active/{new_id('run')}.json"):
        (data / stray).mkdir()
    (thread,) = (data / "threads").iterdir()
    (run,) = (thread / "runs").iterdir()
    (run / "steps" / f"{new_id('step')}.json").mkdir()
    (thread / "runs" / new_id("run")).write_text("a file")
    (data / "threads" / new_id("thread")).write_text("a file")
    assert contents(data) == expected
