"""The sampler under the sanitizers: failing allocations, and unusual logits and parameters of every kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cc import ROOT, compile_c


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a linker that can wrap functions")
def test_every_allocation_may_fail_and_unusual_values_are_harmless(tmp_path: Path) -> None:
    csrc = ROOT / "csrc"
    sources = [
        Path(__file__).with_name("sampler_check.c"),
        *sorted((csrc / "sample").rglob("*.c")),
        csrc / "kernels" / "isa" / "generic" / "vec_generic.c",
        *(csrc / "platform" / f"{name}.c" for name in ("barrier", "error", "memory", "pool")),
    ]
    wrap = "-Wl," + ",".join(f"--wrap={name}" for name in ("malloc", "calloc", "realloc"))
    program = compile_c(sources, tmp_path / "check", wrap, "-g", "-fsanitize=address,undefined", "-fno-builtin")

    # The leak checker runs at exit.
    done = subprocess.run([program], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert "allocations failed in turn" in done.stdout
