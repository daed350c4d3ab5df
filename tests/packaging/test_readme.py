"""The README describes what the code can do, and its commands are the tested ones."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.cli import ROOT, environment


@pytest.mark.parametrize("script", ["supported.py", "families.py"])
def test_the_tables_of_what_runs_are_up_to_date(script: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / script, "--check"], capture_output=True, text=True, env=environment()
    )

    assert done.returncode == 0, done.stderr


def test_the_two_commands_come_first_and_are_one_line_each() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line.startswith("python3 -m venv .venv && ")]

    assert len(commands) == 2
    assert "pip install . && .venv/bin/oxillama serve" in commands[0]
    assert commands[1].endswith('pip install -e ".[test]" && .venv/bin/pytest -n auto --dist loadfile')
