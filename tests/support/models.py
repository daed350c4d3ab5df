"""Small models made on the spot by benchmarks/make_model.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.cli import ROOT, environment


def make_model(out: Path, *, shape: str = "tiny", mix: str = "Q4_K_M", vocab: Path | None = None) -> Path:
    """A model with random weights and its own vocabulary of 512 tokens (or a real one)."""
    command: list[str | Path]
    command = [sys.executable, ROOT / "benchmarks/make_model.py", out, "--shape", shape, "--type", mix]
    if vocab:
        command += ["--vocab", vocab]
    subprocess.run(command, check=True, capture_output=True, env=environment())
    return out
