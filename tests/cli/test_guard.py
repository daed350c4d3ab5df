"""How commands end: exit statuses, one line on stderr, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer

from oxillama.cli.shared.guard import describe, guarded, one_line, status_of
from oxillama.errors import ModelFormatError
from tests.support.cli import environment, oxillama


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ModelFormatError("x.gguf: bad"), 1),
        (FileNotFoundError(2, "No such file or directory", "x.gguf"), 1),
        (MemoryError(), 1),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(32, "Broken pipe"), 141),
        (BaseExceptionGroup("", [ExceptionGroup("", [ModelFormatError("x")])]), 1),
        (BaseExceptionGroup("", [KeyboardInterrupt(), ModelFormatError("x")]), 130),
        (ZeroDivisionError(), None),
        (ExceptionGroup("", [ModelFormatError("x"), ZeroDivisionError()]), None),
    ],
    ids=repr,
)
def test_the_status_follows_the_error(error: BaseException, status: int | None) -> None:
    assert status_of(error) == status


def test_an_expected_error_becomes_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise ModelFormatError("x.gguf: key 'a\nb\x1b[31m' is bad")

    with pytest.raises(typer.Exit) as ended:
        guarded(command)()

    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "oxillama: x.gguf: key 'a b [31m' is bad\n"


def test_a_bug_keeps_its_traceback() -> None:
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        guarded(command)()


def test_an_os_error_is_named_by_its_file() -> None:
    assert describe(FileNotFoundError(2, "No such file or directory", b"a\xff.gguf")) == (
        "a\udcff.gguf: No such file or directory"
    )
    assert one_line("a\udcff.gguf") == "a?.gguf"


def test_without_a_model_the_line_says_what_to_do() -> None:
    done = oxillama("perplexity", "--file", "text.txt")

    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert b"--model FILE" in done.stderr


@pytest.mark.parametrize("arguments", [["nope"], ["info", "--nope"], ["info", "--json=3", "x"]], ids=" ".join)
def test_a_wrong_command_line_is_a_usage_error(arguments: list[str]) -> None:
    done = oxillama(*arguments)

    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_help_names_every_command() -> None:
    done = oxillama("--help")

    assert done.returncode == 0
    assert {b"info", b"tokenize", b"version"} <= set(done.stdout.split())


def test_help_imports_nothing_heavy() -> None:
    heavy = "numpy trio rich quart tokenizers jinja2 msgspec prompt_toolkit matplotlib"
    script = (
        "import sys; from oxillama.cli import app; app.app(['--help'], standalone_mode=False);"
        f"print('HEAVY', *[m for m in '{heavy}'.split() if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment())

    assert done.stdout.splitlines()[-1] == "HEAVY"


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="counts threads in /proc")
def test_numpy_starts_no_threads_that_nobody_needs() -> None:
    script = """
import contextlib, os, sys
from oxillama.cli import main
sys.argv = ["oxillama", "version"]
with contextlib.suppress(SystemExit):
    main()
import numpy
print("THREADS", len(os.listdir("/proc/self/task")))
"""
    env = {name: value for name, value in environment().items() if name != "OPENBLAS_NUM_THREADS"}

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)

    assert done.stdout.splitlines()[-1] == "THREADS 1"


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    script = """
import typer
from oxillama.cli.shared.guard import guarded
app = typer.Typer()
app.command()(guarded(lambda: print("x" * 100_000)))
app()
"""
    read, write = os.pipe()
    os.close(read)

    with os.fdopen(write, "wb") as gone:
        done = subprocess.run([sys.executable, "-c", script], stdout=gone, stderr=subprocess.PIPE, env=environment())

    assert done.returncode == 141
    assert done.stderr == b""
