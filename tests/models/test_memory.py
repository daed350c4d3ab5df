"""Running out of memory while a model is built or run is an error like any other; and a step under the sanitizers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cc import ROOT, compile_c


@pytest.mark.skipif(sys.platform != "linux", reason="needs a linker that can wrap functions")
@pytest.mark.slow
def test_every_allocation_of_a_model_may_fail(tmp_path: Path) -> None:
    csrc = ROOT / "csrc"
    sources = [
        Path(__file__).with_name("step_check.c"),
        *sorted((csrc / "graph").rglob("*.c")),
        *sorted((csrc / "kv").glob("*.c")),
        *sorted((csrc / "kernels" / "pack").glob("*.c")),
        *sorted((csrc / "kernels" / "attention").glob("*.c")),
        *sorted((csrc / "kernels" / "isa" / "generic").glob("*.c")),
        *(csrc / "platform" / f"{name}.c" for name in ("barrier", "error", "memory", "pool")),
        *sorted((csrc / "quant").rglob("*.c")),
    ]
    wrap = "-Wl," + ",".join(f"--wrap={name}" for name in ("calloc", "realloc", "aligned_alloc", "mmap"))
    sanitize = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    flags = ("-g", "-O0", *sanitize, "-fno-builtin", "-fno-math-errno")
    program = compile_c(sources, tmp_path / "step_check", wrap, *flags)

    # The leak checker runs at exit, so a leak after a failure fails here too.
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr + done.stdout
    assert "allocations failed in turn" in done.stdout
