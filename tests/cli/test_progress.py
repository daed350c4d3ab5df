"""The loading bar appears only on stderr, on a terminal, for a large file."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from oxillama.cli.shared.terminal import progress
from oxillama.cli.shared.terminal.progress import load_progress
from tests.support.cli import environment


def large_file(folder: Path) -> Path:
    file = folder / "large.gguf"
    with file.open("wb") as stream:
        stream.truncate(progress.LARGE)
    return file


def test_without_a_terminal_there_is_no_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with load_progress(large_file(tmp_path)) as report:
        assert report is None

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("size", "shown"), [(progress.LARGE, True), (1000, False)], ids=["large", "small"])
def test_a_terminal_sees_the_bar_of_a_large_file_on_stderr(tmp_path: Path, size: int, shown: bool) -> None:
    file = large_file(tmp_path)
    os.truncate(file, size)
    script = (
        "import sys, pathlib; from oxillama.cli.shared.terminal.progress import load_progress\n"
        "with load_progress(pathlib.Path(sys.argv[1])) as report:\n"
        "    if report: report(0.5); report(1.0)"
    )
    ours, theirs = pty.openpty()

    done = subprocess.run(
        [sys.executable, "-c", script, file],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment(TERM="xterm", COLUMNS="100"),
    )

    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # on Linux: the other side is closed
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    assert done.returncode == 0
    assert done.stdout == b""
    assert (b"loading large.gguf" in seen) is shown
