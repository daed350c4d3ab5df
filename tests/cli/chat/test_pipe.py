"""oxillama chat without a terminal: a line is a message, and the output is only text."""

from __future__ import annotations

import subprocess
import sys

import pytest

from oxillama.cli.chat.screen import is_open, unquoted
from oxillama.cli.shared.terminal.visible import visible
from tests.support.cli import ROOT, environment


def piped(text: str | bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "tests.support.scripted_chat", "--model", "none.gguf", *arguments]
    data = text.encode() if isinstance(text, str) else text
    return subprocess.run(command, input=data, capture_output=True, timeout=60, env=environment(), cwd=ROOT)


def test_a_line_is_a_message_and_stdout_has_only_answers() -> None:
    done = piped('hello\r\n\n"""\ntwo\nlines\n"""\nno newline at the end')

    assert done.stdout.decode().splitlines() == [
        "1 messages, the last: hello",
        "2 messages, the last: two",
        "lines",
        "3 messages, the last: no newline at the end",
    ]
    assert done.stderr == b""
    assert done.returncode == 0


def test_a_refused_message_is_a_line_on_stderr_and_sets_the_exit_status() -> None:
    done = piped(b'/foo\nhe\xffllo\n"""\nnever closed')

    assert done.stdout.decode() == "1 messages, the last: he\ufffdllo\n"
    unknown, unclosed = done.stderr.decode().splitlines()
    assert unknown.startswith("oxillama: there is no command /foo")
    assert unclosed == 'oxillama: the text opened with """ is not closed'
    assert done.returncode == 1


def test_a_file_and_the_null_device_are_input_too() -> None:
    command = [sys.executable, "-m", "tests.support.scripted_chat", "--model", "none.gguf"]

    with (ROOT / "tests/cli/chat/__init__.py").open("rb") as empty:
        done = subprocess.run(command, stdin=empty, capture_output=True, timeout=60, env=environment(), cwd=ROOT)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_an_option_out_of_range_is_refused_before_the_model_is_read() -> None:
    done = piped("", "--temp", "-1")

    assert done.returncode == 2
    assert b"--temp: -1.0 is not between" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("text", "opened", "message"),
    [
        ("a", False, "a"),
        ('"""', True, '"""'),
        ('"""a', True, '"""a'),
        ('"""a"""', False, "a"),
        ('""""""', False, ""),
        ('"""\na\n\nb\n"""', False, "a\n\nb"),
        ('say """a"""', False, 'say """a"""'),
    ],
)
def test_blocks_of_several_lines(text: str, opened: bool, message: str) -> None:
    assert is_open(text) is opened
    assert unquoted(text) == message


def test_control_characters_become_visible() -> None:
    everything = "".join(map(chr, range(0x110)))

    shown = visible(everything)

    assert {c for c in shown if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0} == {"\n", "\t"}
    assert visible("naïve 日本 🙂\n") == "naïve 日本 🙂\n"
