"""An interrupted write is resumed: only data that is on disk is trusted, and the file is the same to the byte."""

from __future__ import annotations

import errno
import fcntl
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from oxillama.errors import InvalidParameterError
from oxillama.gguf import GGUFWriter
from oxillama.gguf import writer as writer_module
from tests.support.faulty_disk import FaultyDisk, PowerCut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = [f"t{i}" for i in range(6)]
PIECE = 96


@pytest.fixture(autouse=True)
def note_every_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "COMMIT_S", 0.0)


def content(name: str) -> bytes:
    return np.random.default_rng(int(name[1:])).bytes(3 * PIECE)


def write(
    path: Path,
    *,
    plan: str = "plan",
    shards: int | None = None,
    restart: bool = False,
    stop: tuple[str, int] | None = None,
    error: BaseException | None = None,
    value: int = 1,
) -> list[str]:
    """Write the file; returns the names of tensors that were already there. stop: raise before this piece."""
    with GGUFWriter(path, plan=plan, shard_bytes=shards, restart=restart) as writer:
        writer.add("k", value)
        for name in NAMES:
            writer.add_tensor_info(name, "I8", (3 * PIECE,))
        kept = writer.start()

        def pieces(name: str) -> Iterator[bytes]:
            for i in range(3):
                if stop == (name, i):
                    raise error or KeyboardInterrupt
                yield content(name)[i * PIECE : (i + 1) * PIECE]

        for name in NAMES:
            if name not in kept:
                writer.write_tensor(name, pieces(name))
    return sorted(kept)


def whole(folder: Path, shards: int | None = None) -> dict[str, bytes]:
    """The files that an undisturbed writer makes."""
    folder.mkdir()
    write(folder / "x.gguf", shards=shards)
    return files(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def interrupted(folder: Path, **options: object) -> None:
    folder.mkdir(exist_ok=True)
    with pytest.raises(KeyboardInterrupt):
        write(folder / "x.gguf", **{"stop": ("t3", 1), **options})  # type: ignore[arg-type]


def test_an_interrupted_writer_leaves_hidden_files_and_the_next_one_continues(tmp_path: Path) -> None:
    want = whole(tmp_path / "whole")
    interrupted(tmp_path / "cut")

    assert sorted(files(tmp_path / "cut")) == [".x.gguf.journal", ".x.gguf.partial"]
    assert write(tmp_path / "cut" / "x.gguf") == ["t0", "t1", "t2"]
    assert files(tmp_path / "cut") == want


def test_an_interrupted_run_with_shards_is_resumed(tmp_path: Path) -> None:
    want = whole(tmp_path / "whole", shards=600)
    assert len(want) == 3
    interrupted(tmp_path / "cut", shards=600)

    assert write(tmp_path / "cut" / "x.gguf", shards=600) == ["t0", "t1", "t2"]
    assert files(tmp_path / "cut") == want


def test_it_may_be_interrupted_repeatedly(tmp_path: Path) -> None:
    want = whole(tmp_path / "whole")
    for name in ("t1", "t2", "t2", "t5"):
        interrupted(tmp_path / "cut", stop=(name, 2))

    assert write(tmp_path / "cut" / "x.gguf") == NAMES[:5]
    assert files(tmp_path / "cut") == want


@pytest.mark.parametrize(
    "change", [{"plan": "other"}, {"value": 2}, {"shards": 600}, {"restart": True}], ids=lambda c: str(*c)
)
def test_another_plan_starts_over_and_removes_the_old_files(tmp_path: Path, change: dict[str, object]) -> None:
    interrupted(tmp_path / "cut")

    assert write(tmp_path / "cut" / "x.gguf", **change) == []  # type: ignore[arg-type]
    assert not [name for name in files(tmp_path / "cut") if name.startswith(".")]


def test_old_shards_are_removed_when_one_file_replaces_them(tmp_path: Path) -> None:
    want = whole(tmp_path / "whole")
    interrupted(tmp_path / "cut", shards=600)

    assert write(tmp_path / "cut" / "x.gguf") == []
    assert files(tmp_path / "cut") == want


def test_an_error_that_would_recur_leaves_nothing_to_resume(tmp_path: Path) -> None:
    interrupted(tmp_path / "cut")

    with pytest.raises(InvalidParameterError):
        write(tmp_path / "cut" / "x.gguf", stop=("t5", 0), error=InvalidParameterError("weights"))

    assert files(tmp_path / "cut") == {}


def test_before_the_first_tensor_is_complete_nothing_is_left(tmp_path: Path) -> None:
    interrupted(tmp_path / "cut", stop=("t0", 2))
    assert files(tmp_path / "cut") == {}


def test_a_full_disk_keeps_completed_work(tmp_path: Path) -> None:
    want = whole(tmp_path / "whole")
    (tmp_path / "cut").mkdir()
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / "cut" / "x.gguf", stop=("t4", 1), error=OSError(errno.ENOSPC, "No space left on device"))

    assert write(tmp_path / "cut" / "x.gguf") == NAMES[:4]
    assert files(tmp_path / "cut") == want


@pytest.mark.parametrize("damage", ["byte", "shorter", "gone", "journal line", "journal zeros", "journal head"])
def test_damaged_partial_files_are_not_trusted(tmp_path: Path, damage: str) -> None:
    want = whole(tmp_path / "whole")
    interrupted(tmp_path / "cut")
    partial, journal = tmp_path / "cut" / ".x.gguf.partial", tmp_path / "cut" / ".x.gguf.journal"
    head, *lines = journal.read_bytes().splitlines(keepends=True)
    data = partial.read_bytes()
    at = data.index(content("t1"))
    match damage:
        case "byte":
            partial.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        case "shorter":
            partial.write_bytes(data[:at])
        case "gone":
            partial.unlink()
        case "journal line":
            journal.write_bytes(head + lines[0] + lines[1][:-1])
        case "journal zeros":
            journal.write_bytes(head + lines[0] + bytes(40))
        case "journal head":
            journal.write_bytes(bytes(len(head)) + b"".join(lines))

    kept = write(tmp_path / "cut" / "x.gguf")

    assert kept == {"byte": ["t0", "t2"], "gone": [], "journal head": []}.get(damage, ["t0"])
    assert files(tmp_path / "cut") == want


def test_one_process_at_a_time_writes_a_file(tmp_path: Path) -> None:
    interrupted(tmp_path / "cut")
    path = tmp_path / "cut" / "x.gguf"
    with GGUFWriter(path, plan="living") as living:
        living.start()
        held = files(tmp_path / "cut")

        with pytest.raises(InvalidParameterError, match=r"x.gguf: another process is writing it"):
            write(path)

        assert files(tmp_path / "cut") == held


def test_without_locks_half_a_file_is_still_never_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    path = tmp_path / "x.gguf"
    one, other = GGUFWriter(path, plan="one"), GGUFWriter(path, plan="other")
    for writer in (one, other):
        writer.add_tensor_info("t", "I8", (3,))
    one.write_tensor("t", b"abc")
    other.start()

    with pytest.raises(OSError, match="another process is writing it too"):
        one.close()

    assert not path.exists()
    other.write_tensor("t", b"def")
    other.close()
    assert path.read_bytes().rstrip(b"\0").endswith(b"def")


def test_a_failed_fsync_is_not_taken_for_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    want = whole(tmp_path / "whole")
    (tmp_path / "cut").mkdir()
    broken = FaultyDisk(tmp_path / "cut")
    broken.install(monkeypatch)
    broken.fault = lambda call, n: OSError(errno.EIO, "I/O error") if call == "fsync" and n > 25 else None
    with pytest.raises(OSError, match="I/O error"):
        write(tmp_path / "cut" / "x.gguf")
    broken.fault = lambda call, n: None
    noted = (tmp_path / "cut" / ".x.gguf.journal").read_bytes().count(b"\n") - 1

    assert len(write(tmp_path / "cut" / "x.gguf")) == noted == 3
    assert files(tmp_path / "cut") == want


@pytest.mark.parametrize("kind", ["killed", "power"])
@pytest.mark.parametrize("shards", [None, 600])
def test_wherever_a_run_is_interrupted_the_next_one_writes_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int | None, kind: str
) -> None:
    """At each call that changes the disk: the process ends, or the power does, which loses what is not synced."""
    want = whole(tmp_path / "whole", shards)
    rng = random.Random(f"{kind} {shards}")
    cut = tmp_path / "cut"
    most, n = 0, 0
    while True:
        cut.mkdir()
        (cut / "x.gguf").write_bytes(b"older")
        faulty = FaultyDisk(cut)
        with monkeypatch.context() as patch:
            faulty.install(patch)
            faulty.power_fails_at = n
            try:
                write(cut / "x.gguf", shards=shards)
            except PowerCut:
                faulty.end_process()
                if kind == "power":
                    faulty.lose_unsynced(rng)
            else:
                break
        for name in set(files(cut)) & set(want):
            assert files(cut)[name] in (want[name], b"older"), f"half a file after {n} calls"
        kept = write(cut / "x.gguf", shards=shards)
        most = max(most, len(kept))
        left = {name: data for name, data in files(cut).items() if shards is None or name != "x.gguf"}
        assert left == want, f"after {n} calls"
        for path in cut.iterdir():
            path.unlink()
        cut.rmdir()
        n += 1
    assert n > 40
    assert most == len(NAMES)


def test_the_journal_is_never_ahead_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data are synced between their last write and the line that notes them."""
    faulty = FaultyDisk(tmp_path)
    faulty.install(monkeypatch)
    write(tmp_path / "x.gguf")

    start = [call for call, _ in faulty.trace].index("fsync_dir")  # from here on only tensors are written
    dirty, lines = False, 0
    for call, name in faulty.trace[start:]:
        match call, name:
            case "pwrite", ".x.gguf.partial":
                dirty = True
            case "fsync", ".x.gguf.partial":
                dirty = False
            case "pwrite", ".x.gguf.journal":
                lines += 1
                assert not dirty
    assert lines == len(NAMES)
