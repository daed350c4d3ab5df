"""An interrupted `oxillama quantize` continues when the command is run again, and writes exactly the same file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.gguf import GGUFFile, GGUFWriter
from oxillama.gguf import writer as writer_module
from oxillama.quant import convert
from oxillama.quant.convert import Options, plan
from oxillama.quant.fingerprint import fingerprint
from oxillama.quant.importance import Importance
from tests.support.cli import environment, oxillama
from tests.support.tiny_models import TinyModel, tiny_model

# The command, with a signal to itself before a given piece of a tensor is written, and every tensor noted.
SIGNALLED = """
import os, sys
from oxillama.gguf import writer
from oxillama.quant import convert
from oxillama.storage.system import SystemDisk
real, left, which = SystemDisk.pwrite, int(sys.argv.pop(1)), int(sys.argv.pop(1))
writer.COMMIT_S, convert.PIECE_WEIGHTS = 0.0, 64 * 256
def pwrite(disk, fd, data, at):
    global left
    left -= at > 0 and len(data) > 64  # a header is written at 0, the journal's lines are short
    if left == 0:
        half = real(disk, fd, memoryview(data)[: len(data) // 2], at)
        os.kill(os.getpid(), which)
        return half
    return real(disk, fd, data, at)
SystemDisk.pwrite = pwrite
from oxillama.cli.app import main
main()
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "in.gguf", n_embd=256, n_ff=256, head_dim=64, vocab="spm")


def signalled(after: int, which: signal.Signals, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", SIGNALLED, str(after), str(int(which)), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=60, env=environment())


@pytest.mark.parametrize("after", [1, 9, 20, 40])
def test_a_killed_command_continues_to_the_same_file(model: Path, tmp_path: Path, after: int) -> None:
    assert oxillama("quantize", model, tmp_path / "want.gguf", "Q4_K_M").returncode == 0
    out = tmp_path / "out.gguf"

    killed = signalled(after, signal.SIGKILL, "quantize", model, out, "Q4_K_M", "--threads", "2")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not out.exists()
    done = oxillama("quantize", model, out, "Q4_K_M", "--threads", "1")

    assert done.returncode == 0, done.stderr
    assert (b"oxillama: continuing from tensor " in done.stderr) == (after > 8)
    assert out.read_bytes() == (tmp_path / "want.gguf").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.gguf", "out.gguf", "want.gguf"]


def test_ctrl_c_prints_how_to_continue(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"

    stopped = signalled(20, signal.SIGINT, "quantize", model, out, "Q8_0")

    assert stopped.returncode == 130
    assert stopped.stderr.decode() == (
        "oxillama: stopped: run the same command to continue, or add --restart to start over\n"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == [".out.gguf.journal", ".out.gguf.partial", "in.gguf"]
    assert b"going on" not in oxillama("quantize", model, out, "Q8_0", "--restart").stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.gguf", "out.gguf"]


def interrupted(source: Path, out: Path, mix: str = "Q4_0", importance: Importance | None = None) -> None:
    """Two thirds of the file are done."""
    file, options = GGUFFile(source), Options(threads=1)
    limit = sum(info.n_bytes for info in file.tensors.values()) * 2 // 3

    def interrupt(done: int) -> None:
        if done > limit:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert.convert(file, out, plan(file, mix, options, importance), options, importance, interrupt)


def again(
    source: Path, out: Path, mix: str = "Q4_0", importance: Importance | None = None, **options: Any
) -> list[str]:
    """The output of the next run."""
    file, notices = GGUFFile(source), list[str]()
    chosen = Options(threads=2, **options)
    convert.convert(file, out, plan(file, mix, chosen, importance), chosen, importance, None, notices.append)
    return notices


@pytest.fixture
def note_every_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "COMMIT_S", 0.0)


def test_a_resumed_run_reports_where_it_resumes(model: Path, tmp_path: Path, note_every_tensor: None) -> None:
    interrupted(model, tmp_path / "out.gguf")
    n = len(GGUFFile(model).tensors)
    done = int((tmp_path / ".out.gguf.journal").read_bytes().count(b"\n")) - 1

    assert 0 < done < n
    assert again(model, tmp_path / "out.gguf") == [f"continuing from tensor {done + 1} of {n}"]


def test_progress_of_a_resumed_run_never_decreases_and_ends_at_all_bytes(model: Path, tmp_path: Path) -> None:
    interrupted(model, tmp_path / "out.gguf")
    file, options, seen = GGUFFile(model), Options(threads=2), [0]

    convert.convert(file, tmp_path / "out.gguf", plan(file, "Q4_0", options), options, None, seen.append)

    assert seen == sorted(seen)
    assert seen[-1] == sum(info.n_bytes for info in file.tensors.values())


def test_another_input_type_or_importance_starts_over(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    name = "blk.0.ffn_up.weight"
    one = Importance("x.imatrix", {name: np.ones((1, 256), np.float32)})
    other = Importance("x.imatrix", {name: np.full((1, 256), 2, np.float32)})

    interrupted(model, out)
    assert again(model, out, "Q8_0") == []
    interrupted(model, out)
    assert again(model, out, output="F16") == []
    interrupted(model, out, importance=one)
    assert again(model, out, importance=other) == []
    interrupted(model, out, importance=one)
    assert len(again(model, out, importance=one)) == 1
    interrupted(model, out)
    os.utime(model, (1, 1))
    assert again(model, out) == []


def test_every_shard_of_the_input_counts(tmp_path: Path) -> None:
    with GGUFWriter(tmp_path / "in.gguf", shard_bytes=9000) as writer:
        writer.add("general.architecture", "llama")
        for i in range(3):
            writer.add_tensor(f"blk.{i}.ffn_up.weight", np.ones((8, 256), np.float32))
    file = GGUFFile(writer.paths[0])
    before = fingerprint(file, None)

    os.utime(writer.paths[2], (1, 1))

    assert fingerprint(file, None) != before
    assert all(path.name in before for path in writer.paths)


def test_a_weight_that_cannot_be_represented_leaves_nothing_to_resume(tmp_path: Path, note_every_tensor: None) -> None:
    tiny = TinyModel("llama", n_embd=256, n_ff=256, n_head=4, head_dim=64, vocab="spm")
    tiny.tensors["blk.1.ffn_up.weight"][200, 9] = np.nan
    source = tiny.write(tmp_path / "in.gguf")

    with pytest.raises(ValueError, match=r"blk.1.ffn_up.weight"):
        again(source, tmp_path / "out.gguf")

    assert [p.name for p in tmp_path.iterdir()] == ["in.gguf"]
