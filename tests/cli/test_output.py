"""Commands write only to regular files, because devices and pipes would be replaced."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest
import typer

from oxillama.cli.shared.guard import naming
from oxillama.cli.shared.output import check_output
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


def test_no_command_writes_over_a_file_that_it_reads(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tiny.gguf", "text.txt"):
        shutil.copy(model.with_name(name), tmp_path)
    shutil.copy(model, tmp_path / "tiny.svg")
    (tmp_path / "link.gguf").symlink_to("tiny.gguf")
    imatrix = ("imatrix", "--model", "tiny.gguf", "--file", "text.txt", "--ctx", "16", "--out")
    assert oxillama(*imatrix, "i.gguf").returncode == 0
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    for out, *command in (
        ("tiny.gguf", *imatrix),
        ("link.gguf", *imatrix),
        ("text.txt", *imatrix),
        ("tiny.gguf", "quantize", "tiny.gguf"),
        ("i.gguf", "quantize", "--imatrix", "i.gguf", "tiny.gguf"),
        ("tiny.svg", "info", "--model", "tiny.svg", "--plot"),
        ("tiny.svg", "bench", "--model", "tiny.svg", "--plot"),
    ):
        done = oxillama(*command, out, *(["Q8_0"] if command[0] == "quantize" else []))

        assert done.stderr.decode().endswith(f" {out}: is a file that this command reads; name another one\n")
        assert done.returncode == 2
        assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_no_shard_of_the_model_is_written_over(tmp_path: Path) -> None:
    for name in ("m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "m-00002-of-00003.gguf"):
        (tmp_path / name).touch()
    first = tmp_path / "m-00001-of-00002.gguf"

    check_output("OUT", tmp_path / "m-00002-of-00003.gguf", first)  # of another model
    with pytest.raises(typer.Exit):
        check_output("OUT", tmp_path / "m-00002-of-00002.gguf", first)


@pytest.mark.parametrize(
    "command",
    [
        ["info", "--model", ""],
        ["info", "--plot", ""],
        ["run", "--prompt-file", ""],
        ["perplexity", "--file", ""],
        ["imatrix", "--file", "text.txt", "--out", ""],
        ["quantize", "", "o.gguf", "Q8_0"],
        ["quantize", "i.gguf", "", "Q8_0"],
        ["quantize", "i.gguf", "o.gguf", "Q8_0", "--imatrix", ""],
        ["serve", "--data-dir", ""],
        ["serve", "--config", ""],
    ],
    ids=" ".join,
)
def test_an_empty_name_is_not_the_current_folder(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    done = oxillama(*command)

    assert done.returncode == 2
    assert f": it is empty: give a path or leave it out; see oxillama {command[0]} --help\n" in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No space left on device: '.*model\.gguf'"), naming(tmp_path / "model.gguf"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match=r"model\.gguf'"), naming(tmp_path / "model.gguf"):
        (tmp_path / "nowhere" / ".model.gguf.tmp").touch()


def test_a_name_of_several_lines_is_printed_in_one(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal obeys control characters, and scripts read the lines."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(model, "a\n\x1b[31mb.gguf")
    text = model.with_name("text.txt")
    quick = ("--prompt", 8, "--new", 1, "--reps", 1, "--threads")
    for command in (
        ("imatrix", "--model", model, "--file", text, "--ctx", 16, "--out", "a\n\x1b[31mb.i"),
        ("quantize", "a\n\x1b[31mb.gguf", "a\n\x1b[31mb.q", "F16"),
        ("bench", "--model", "a\n\x1b[31mb.gguf", *quick, "1"),
        ("bench", "--model", "a\n\x1b[31mb.gguf", *quick, "1,2"),
    ):
        done = oxillama(*command)

        assert done.returncode == 0
        assert done.stdout.startswith(b"a  [31mb.")
        assert b"\x1b" not in done.stdout


def test_the_writer_itself_replaces_no_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(FileExistsError, match="pipe"), GGUFWriter(tmp_path / "pipe") as writer:
        writer.add("general.architecture", "llama", "str")

    assert [file.name for file in tmp_path.iterdir()] == ["pipe"]
