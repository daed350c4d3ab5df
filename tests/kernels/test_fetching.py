"""How attention prefetches keys and values changes no bit of its result (csrc/kernels/attention/fetching.h)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.kernels.test_nan import SANITIZE, TABLES
from tests.support.cc import ROOT, compile_c
from tests.support.isas import need_isa


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_every_way_of_prefetching_gives_the_same_bits(tmp_path: Path, table: str) -> None:
    isa, flags = TABLES[table]
    need_isa(isa)
    kernels = ROOT / "csrc/kernels"
    sources = [kernels / "isa" / table / f"vec_{table}.c", kernels / "attention/fetching.c"]
    check = Path(__file__).with_name("fetching_check.c")
    program = compile_c([check, *sources], tmp_path / "check", f"-DVEC=oxi_vec_{table}", *flags, *SANITIZE)

    done = subprocess.run([program], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stdout.strip()) == (0, "48"), done.stderr
