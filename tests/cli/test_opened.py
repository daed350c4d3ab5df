"""The engine's log during a command: one line per record, and no traceback for expected errors."""

from __future__ import annotations

import logging

import pytest

from oxillama.cli.shared.opened import plain_log

log = logging.getLogger("oxillama.engine.somewhere")


def test_a_warning_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with plain_log():
        log.warning("%s: ignoring\na key", "m.gguf")
        log.info("nothing to see")

    assert capsys.readouterr().err == "oxillama: m.gguf: ignoring a key\n"


def test_an_error_that_ends_the_command_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    with plain_log():
        log.error("a generation failed", exc_info=MemoryError("out of memory for a sequence"))

    assert capsys.readouterr().err == ""


def test_a_fault_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with plain_log():
        log.error("a generation failed", exc_info=ZeroDivisionError("a bug"))

    stderr = capsys.readouterr().err
    assert stderr.startswith("oxillama: a generation failed\n")
    assert "ZeroDivisionError: a bug" in stderr
