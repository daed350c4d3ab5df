"""A writing process is killed repeatedly: no acknowledged change is lost, and no run stays locked."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from oxillama.assistants.records import RunStatus
from oxillama.assistants.store.store import Store
from oxillama.errors import ObjectNotFoundError
from oxillama.files.service import Files
from tests.support.cli import ROOT, environment
from tests.support.places import at
from tests.support.records import NOW, a_message
from tests.support.stores import open_database

if TYPE_CHECKING:
    from pathlib import Path

Acknowledged = list[list[str]]


def write_and_die(data_dir: Path, seed: int, writes: int) -> Acknowledged:
    """The acknowledged changes up to the kill: `writes` changes and a few more."""
    command = [sys.executable, "-m", "tests.support.store_writer", str(data_dir), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), cwd=ROOT) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == ["ready"]
        lines = [process.stdout.readline() for _ in range(writes)]
        process.kill()
        return [json.loads(line) for line in [*lines, *process.stdout.read().splitlines()]]


def check(data_dir: Path, acknowledged: Acknowledged, kills: int) -> None:
    database = open_database(data_dir)
    store, files = Store(database, clock=lambda: NOW), Files(str(data_dir), database, lambda: NOW)
    files.clear()
    stored = {entry[2]: entry[3] for entry in acknowledged if entry[0] == "file"}
    for file_id, digest in stored.items():
        assert hashlib.sha256(b"".join(files.files.parts(file_id))).hexdigest() == digest
    assert len(files.files.list()) - len(stored) in range(kills + 1)  # one that was not acknowledged in time
    acknowledged = [entry for entry in acknowledged if entry[0] != "file"]
    queued = {run.id for run in store.recover()}
    gone = {thread for kind, thread, *_ in acknowledged if kind == "deleting"}
    threads = {thread for _, thread, *_ in acknowledged} - gone
    texts = {thread: {m.id: m.text_content for m in store.messages.list(thread)} for thread in threads}
    for kind, thread, key, *rest in (entry for entry in acknowledged if entry[1] not in gone):
        if kind == "message":
            assert texts[thread][key] == rest[0]
        elif kind == "run":
            assert store.runs.get(thread, key).status.is_terminal or key in queued
        else:
            assert store.runs.get(thread, key).status is RunStatus.COMPLETED
    for thread in threads:
        answers = [m.run_id for m in store.messages.list(thread) if m.role == "assistant"]
        assert len(set(answers)) == len(answers)
        for run in store.runs.list(thread):
            assert run.status.is_terminal or run.id in queued
            if run.id in queued:
                store.runs.update_status(thread, run.id, RunStatus.FAILED)
        store.messages.append(thread, a_message("after"))
    for thread in {thread for kind, thread, *_ in acknowledged if kind == "deleted"}:
        with pytest.raises(ObjectNotFoundError):
            store.threads.get(thread)


def rounds(data_dir: Path, seed: int, count: int) -> None:
    """Kill the writer, check the directory, and continue with it."""
    rng = random.Random(seed)
    everything: Acknowledged = []
    for n in range(count):
        everything += write_and_die(data_dir, seed * 1000 + n, rng.randrange(20, 60))
        with at(seed=seed, kill=n):
            check(data_dir, everything, n + 1)


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    rounds(tmp_path, seed=1, count=4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_nothing_acknowledged_is_lost_in_a_hundred_kills(tmp_path: Path, seed: int) -> None:
    rounds(tmp_path, seed, count=10)
