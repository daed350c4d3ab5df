"""Foreign files in the data directory do no harm: editors' backups, notes, folders."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from oxillama.assistants.records import Assistant
from oxillama.files.records import StoredFile
from oxillama.files.service import Files
from oxillama.storage.ids import new_id
from tests.support.records import NOW, a_message, a_run, a_step, a_thread
from tests.support.stores import open_database, open_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory with one object of each kind, and a run that has not ended."""
    store, files = open_store(tmp_path), files_of(tmp_path)
    store.assistants.create(Assistant(id=new_id("asst"), created_at=NOW, model="m"))
    thread = store.threads.create(a_thread(), [a_message("Hello")])
    store.steps.append(a_step(store.runs.create(a_run(thread.id))))
    content = files.files.begin(file_id := new_id("file", separator="-"))
    files.files.finish(StoredFile(id=file_id, created_at=NOW, filename="a", purpose="user_data", bytes=0), content)
    return tmp_path


def files_of(data: Path) -> Files:
    database = open_database(data)
    return Files(str(data), database, lambda: NOW)


def contents(data: Path) -> list[object]:
    """Everything that a start and the lists find."""
    store, files = open_store(data), files_of(data)
    files.clear()
    runs = store.recover()
    found: list[object] = [runs, store.assistants.list(), files.files.list()]
    for file in files.files.list():
        assert b"".join(files.files.parts(file.id)) == b""
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


def test_directories_with_the_names_of_earlier_objects_do_no_harm(data: Path) -> None:
    expected = contents(data)
    for stray in (f"assistants/{new_id('asst')}.json", f"active/{new_id('run')}.json", f"threads/{new_id('thread')}"):
        (data / stray).mkdir(parents=True)
    assert contents(data)[0] == expected[0]
