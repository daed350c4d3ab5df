"""Running out of memory while opening a file is an error like any other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from oxillama.gguf import GGUFWriter
from tests.support.cc import ROOT, compile_c


@pytest.mark.skipif(sys.platform != "linux", reason="needs a linker that can wrap functions")
def test_every_allocation_may_fail(tmp_path: Path) -> None:
    with GGUFWriter(tmp_path / "m.gguf", shard_bytes=256) as writer:
        for i in range(5):
            writer.add_tensor(f"t{i}", np.full(32, i, np.float32))
    csrc = ROOT / "csrc"
    sources = [
        Path(__file__).with_name("alloc_check.c"),
        csrc / "fuzz" / "seeds.c",
        *sorted((csrc / "gguf").glob("*.c")),
        csrc / "platform" / "error.c",
        csrc / "platform" / "mapping.c",
        csrc / "quant" / "types.c",
    ]
    wrap = "-Wl," + ",".join(f"--wrap={name}" for name in ("malloc", "calloc", "realloc", "strdup"))
    program = compile_c(sources, tmp_path / "alloc_check", wrap, "-g", "-fsanitize=address,undefined", "-fno-builtin")

    # The leak checker runs at exit, so a leak of a failed opening fails here too.
    done = subprocess.run([program, str(writer.paths[0])], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert "allocations failed in turn" in done.stdout
