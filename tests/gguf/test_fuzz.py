"""The fuzz target builds, its seeds open, and a bounded run under the sanitizers finds nothing."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.cc import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_a_bounded_fuzz_run_finds_nothing(tmp_path: Path) -> None:
    script = ROOT / "csrc" / "fuzz" / "run.sh"
    if not script.exists() or shutil.which("cc") is None:
        pytest.skip("needs csrc/fuzz and a C compiler")

    done = subprocess.run([script, "20000", "1"], cwd=tmp_path, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    assert "20000 inputs, " in done.stdout
    assert not (tmp_path / "gguf-crash.bin").exists()
