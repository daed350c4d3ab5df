"""The thread pool and the allocator keep their contracts under the sanitizers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.cc import ROOT, compile_c

BUILDS = {
    "plain": [],
    "condition variable": ["-DOXI_PARK_PORTABLE"],
    "thread sanitizer": ["-fsanitize=thread", "-g"],
    "address sanitizer": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"],
}


@pytest.mark.parametrize("build", BUILDS)
def test_pool_and_memory_keep_their_contracts(build: str, tmp_path: Path) -> None:
    sources = [Path(__file__).with_name("pool_check.c"), *sorted((ROOT / "csrc" / "platform").glob("*.c"))]
    program = compile_c(sources, tmp_path / "pool_check", *BUILDS[build])

    environment = {**os.environ, "ASAN_OPTIONS": "allocator_may_return_null=1"}
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, env=environment)

    assert done.returncode == 0, done.stderr
