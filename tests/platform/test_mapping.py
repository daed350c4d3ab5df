"""Mapped files release their pages and detect truncation."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.cc import ROOT, compile_c


def test_mapping_keeps_its_contract(tmp_path: Path) -> None:
    sources = [Path(__file__).with_name("mapping_check.c"), *sorted((ROOT / "csrc" / "platform").glob("*.c"))]
    program = compile_c(sources, tmp_path / "mapping_check")

    done = subprocess.run([program, str(tmp_path / "scratch")], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
