"""Commands write only to regular files, because devices and pipes would be replaced."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from oxillama.gguf import GGUFWriter
from tests.support.cli import oxillama
from tests.support.tiny_models import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf", vocab="spm")
    path.with_name("text.txt").write_text("a b c " * 100)
    return path


@pytest.mark.parametrize(
    ("command", "out", "words"),
    [
        ("quantize", "nowhere/o", "OUT nowhere/o: there is no folder nowhere"),
        ("quantize", ".", "OUT .: is a folder; name a file in it"),
        ("quantize", "pipe.svg", "OUT pipe.svg: is a device, pipe or socket, not a file"),
        ("imatrix", "nowhere/o", "--out nowhere/o: there is no folder nowhere"),
        ("imatrix", "..", "--out ..: is a folder; name a file in it"),
        ("imatrix", "pipe.svg", "--out pipe.svg: is a device, pipe or socket, not a file"),
        ("info", "nowhere/o.svg", "--plot nowhere/o.svg: there is no folder nowhere"),
        ("info", "pipe.svg", "--plot pipe.svg: is a device, pipe or socket, not a file"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_any_work(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, out: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.svg")
    commands: dict[str, list[str | Path]] = {
        "quantize": [model, out, "Q8_0"],
        "imatrix": ["--model", model, "--file", model.with_name("text.txt"), "--ctx", "16", "--out", out],
        "info": ["--model", model, "--plot", out],
    }

    done = oxillama(command, *commands[command])

    assert done.returncode == 2
    assert done.stderr.decode() == f"oxillama: {words}\n"
    assert stat.S_ISFIFO(os.stat("pipe.svg").st_mode)
    assert os.listdir() == ["pipe.svg"]


def test_the_writer_itself_replaces_no_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(FileExistsError, match="pipe"), GGUFWriter(tmp_path / "pipe") as writer:
        writer.add("general.architecture", "llama", "str")

    assert [file.name for file in tmp_path.iterdir()] == ["pipe"]
