"""Standard streams that are closed, full or without a reader: no command fails or shows a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.cli import environment

COMMANDS = {
    "version": "version",
    "help": "--help",
    "info": "info",
    "tokenize": "tokenize",
    "run": "run --prompt Hello --max-tokens 1",
    "chat": "chat --max-tokens 1",
    "bench": "bench --help",
    "quantize": "quantize --help",
    "imatrix": "imatrix --help",
    "perplexity": "perplexity --help",
    "serve": "serve --help",
}


def run(command: str, redirections: str) -> subprocess.CompletedProcess[str]:
    """Run `oxillama COMMAND` in a shell, and capture the output that is not redirected."""
    line = f'"{sys.executable}" -m oxillama {COMMANDS[command]} {redirections}'
    return subprocess.run(
        ["bash", "-c", line], input="Hello\n", capture_output=True, text=True, env=environment(), timeout=120
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "redirections", [*(pytest.param(one, marks=pytest.mark.slow) for one in ["<&-", ">&-"]), "<&- >&-"]
)
def test_closed_streams_do_not_make_a_command_fail(command: str, redirections: str) -> None:
    done = run(command, redirections)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize("command", ["version", "help", "info", "run"])
@pytest.mark.parametrize("redirections", ["2>&-", "2>/dev/full"])
def test_a_command_works_even_if_its_messages_cannot_be_written(command: str, redirections: str) -> None:
    done = run(command, redirections)
    assert done.returncode == 0
    assert done.stdout


@pytest.mark.parametrize("command", ["version", "help", "info"])
def test_a_full_disk_under_the_output_is_reported_in_one_line(command: str) -> None:
    done = run(command, ">/dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "oxillama: standard output: No space left on device"
    assert "Traceback" not in done.stderr


def test_a_file_does_not_get_the_descriptor_of_a_closed_stream() -> None:
    """A file with the number of a standard descriptor would receive messages."""
    code = (
        "import os, sys; from oxillama.cli import streams; streams.secure();"
        "print(os.open('/dev/zero', os.O_RDONLY) > 2, file=sys.__stdout__)"
    )
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -c "{code}" 2>&- <&-'], stdout=subprocess.PIPE, text=True, env=environment()
    )
    assert done.stdout == "True\n"
