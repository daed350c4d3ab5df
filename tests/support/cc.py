"""Compiles small C programs against csrc/, to test properties that the binding does not show."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def compile_c(sources: list[Path], program: Path, *flags: str) -> Path:
    """Build `program` with the system's compiler. Skips the calling test without a compiler or without csrc/."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"needs a C compiler ({compiler[0]})")
    if not (ROOT / "csrc").is_dir():
        pytest.skip("needs the sources in csrc/")
    base = [*compiler, "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-pthread"]
    base += ["-I", str(ROOT / "csrc")]
    subprocess.run([*base, *flags, *map(str, sources), "-o", str(program), "-lm"], check=True)
    return program
