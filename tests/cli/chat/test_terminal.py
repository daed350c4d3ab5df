"""oxillama chat on a terminal: keys, Ctrl-C, history, and escape sequences of the model."""

from __future__ import annotations

import os
import signal
import stat
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.terminal import ALT_ENTER, CTRL_C, CTRL_D, ENTER, UP, Terminal, on_terminal

pytest.importorskip("prompt_toolkit")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


KINDS = pytest.mark.parametrize("kind", ["xterm", pytest.param("dumb", marks=pytest.mark.slow)])


@contextmanager
def chatting(state: Path, *arguments: str, **env: str) -> Iterator[Terminal]:
    command = ("-m", "tests.support.scripted_chat", "--model", "none.gguf", *arguments)
    with on_terminal(*command, XDG_STATE_HOME=str(state), **env) as terminal:
        terminal.expect(b"> ")
        yield terminal


@KINDS
def test_ctrl_c_stops_the_answer_and_keeps_the_session(state: Path, kind: str) -> None:
    with chatting(state, TERM=kind) as terminal:
        terminal.type(b"long" + ENTER)
        terminal.expect(b"abcdefghijabcdefghij")
        terminal.type(CTRL_C)
        terminal.expect(b"stopped")
        terminal.expect(b"> ")
        terminal.type(b"hello" + ENTER)
        terminal.expect(b"2 messages, the last: hello")
        terminal.expect(b"> ")
        terminal.type(CTRL_D)

        assert terminal.end() == 0
        assert b"Traceback" not in terminal.seen


@KINDS
def test_text_typed_during_an_answer_waits_for_its_end(state: Path, kind: str) -> None:
    with chatting(state, "--max-tokens", "400", TERM=kind) as terminal:
        terminal.type(b"long" + ENTER)
        terminal.expect(b"abcdefghij")
        terminal.type(b"hello\n")
        terminal.expect(b"2 messages, the last: hello")
        terminal.expect(b"> ")
        terminal.type(b"long" + ENTER)
        terminal.expect(b"abcdefghij")
        terminal.type(CTRL_D)

        assert terminal.end() == 0
        assert termios.tcgetattr(terminal._fd)[6][termios.VEOF] == CTRL_D


@KINDS
def test_text_typed_during_an_answer_is_not_shown_in_it(state: Path, kind: str) -> None:
    with chatting(state, "--max-tokens", "400", TERM=kind) as terminal:
        terminal.type(b"long" + ENTER)
        terminal.expect(b"abcdefghij")
        terminal.type(b"TYPED\n")
        answer = terminal.expect(b"> ")

        assert b"TYPED" not in answer
        assert (b"abcdefghij" * 38) in answer.replace(b"\n", b"")
        terminal.expect(b"TYPED")  # it appears at the prompt that reads it
        terminal.expect(b"2 messages, the last: TYPED")


@KINDS
def test_the_first_ctrl_c_at_the_prompt_says_how_to_leave_and_the_second_leaves(state: Path, kind: str) -> None:
    with chatting(state, TERM=kind) as terminal:
        terminal.type(b"hello" + ENTER)
        terminal.expect(b"1 messages")
        terminal.expect(b"> ")
        terminal.type(CTRL_C)
        terminal.expect(b"type /bye")
        terminal.expect(b"> ")
        terminal.type(b"again" + ENTER)
        terminal.expect(b"2 messages, the last: again")
        terminal.expect(b"> ")
        terminal.type(CTRL_C)
        terminal.expect(b"type /bye")
        terminal.expect(b"> ")
        terminal.type(CTRL_C)

        assert terminal.end() == 130
        assert b"Traceback" not in terminal.seen


def test_bye_leaves(state: Path) -> None:
    with chatting(state) as terminal:
        terminal.type(b"/bye" + ENTER)

        assert terminal.end() == 0


@KINDS
@pytest.mark.parametrize(("number", "times", "status"), [(signal.SIGINT, 2, 130), (signal.SIGTERM, 1, 143)])
def test_signals_at_the_prompt_end_the_chat_and_restore_the_terminal(
    state: Path, kind: str, number: signal.Signals, times: int, status: int
) -> None:
    with chatting(state, TERM=kind) as terminal:
        for _ in range(times - 1):
            terminal.process.send_signal(number)
            terminal.expect(b"type /bye")
        terminal.process.send_signal(number)

        assert terminal.end() == status
        flags = termios.tcgetattr(terminal._fd)[3]
        assert flags & termios.ICANON
        assert flags & termios.ECHO
        assert b"Traceback" not in terminal.seen


def test_sigterm_during_an_answer_leaves_a_sane_terminal_and_keeps_the_conversation(state: Path) -> None:
    with chatting(state) as terminal:
        terminal.type(b"long" + ENTER)
        terminal.expect(b"abcdefghij")
        terminal.process.send_signal(signal.SIGTERM)

        assert terminal.end() == 143
        assert termios.tcgetattr(terminal._fd)[3] & termios.ECHO
    assert len(list((state / "oxillama/chats").iterdir())) == 1


def test_words_are_not_broken_at_the_edge(state: Path) -> None:
    with chatting(state) as terminal:
        terminal.type(b"words" + ENTER)
        answer = terminal.expect(b"end.")

    lines = answer[answer.index(b"one ") :].decode().split("\n")
    assert len(lines) > 2
    assert all(len(line) <= 100 for line in lines)
    assert " ".join(lines) == " ".join(["one two three four five"] * 20 + ["end."])


def test_the_last_conversation_is_loaded(state: Path) -> None:
    with chatting(state) as terminal:
        terminal.type(b"remember this" + ENTER)
        terminal.expect(b"1 messages, the last: remember this")
        terminal.expect(b"> ")
        terminal.type(CTRL_C + CTRL_C)
        assert terminal.end() == 130
        assert b"/load last brings this conversation back" in terminal.seen

    with chatting(state) as terminal:
        terminal.type(b"/load last" + ENTER)
        terminal.expect(b"loaded 2 messages")
        terminal.expect(b"> ")
        terminal.type(b"more" + ENTER)
        terminal.expect(b"2 messages, the last: more")


def test_a_message_may_have_several_lines_and_ctrl_c_clears_one_that_is_typed(state: Path) -> None:
    with chatting(state) as terminal:
        terminal.type(b"never sent" + CTRL_C + b"one" + ALT_ENTER + b"two" + ENTER)
        assert b"the last: one\ntwo" in terminal.expect(b"messages, the last: one\ntwo")
        terminal.expect(b"> ")
        terminal.type(b'"""three' + ENTER + b'four"""' + ENTER)

        terminal.expect(b"2 messages, the last: three\nfour")


def test_escape_sequences_of_the_model_do_not_reach_the_terminal_and_no_history_leaves_no_file(state: Path) -> None:
    with chatting(state, "--no-history") as terminal:
        terminal.type(b"escape" + ENTER)
        terminal.expect("red�5mover".encode())

        assert b"\x1b]0;owned" not in terminal.seen
        assert b"\x1b[31mred" not in terminal.seen
        assert "␛]0;owned␇␛[31mred".encode() in terminal.seen
    assert not state.exists()


def test_the_input_history_is_readable_only_by_its_owner(state: Path) -> None:
    with chatting(state) as terminal:
        terminal.type(b"remember me" + ENTER)
        terminal.expect(b"the last: remember me")
    file = state / "oxillama/chat_history"

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    with chatting(state) as terminal:
        terminal.type(UP + ENTER)
        terminal.expect(b"1 messages, the last: remember me")


def test_an_unwritable_state_folder_is_reported_and_the_chat_continues(state: Path) -> None:
    state.write_text("a file where the folder should be")
    with chatting(state) as terminal:
        terminal.type(b"hello" + ENTER)
        terminal.expect(b"the last: hello")

        assert b"the input history is not saved" in terminal.seen


def test_without_prompt_toolkit_the_terminal_gets_plain_lines(state: Path, tmp_path: Path) -> None:
    (tmp_path / "prompt_toolkit.py").write_text("raise ImportError")
    with chatting(state, PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])) as terminal:
        terminal.type(b"hello" + ENTER)

        terminal.expect(b"1 messages, the last: hello")
