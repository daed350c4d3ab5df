"""NaNs pass through the vector functions of every instruction set without undefined behaviour."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from tests.support.cc import ROOT, compile_c
from tests.support.isas import need_isa

AVX2 = ("-mavx2", "-mfma", "-mf16c", "-mbmi2")
AVX512 = (*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl")
# The table of vector functions → the isa that proves that this machine can execute it, and what compiles it.
TABLES: dict[str, tuple[str, tuple[str, ...]]] = {"generic": ("generic", ())}
if platform.machine() in ("x86_64", "AMD64"):
    TABLES |= {
        "avx2": ("avx2-base", AVX2),
        "avx2vnni": ("avx2-vnni", (*AVX2, "-mavxvnni")),
        "avx512": ("avx512-base", AVX512),
        "avx512vnni": ("avx512-vnni", (*AVX512, "-mavx512vnni")),
    }
elif platform.machine() in ("aarch64", "arm64"):
    TABLES |= {"neon": ("neon-dot", ("-march=armv8.2-a+dotprod+fp16",))}
SANITIZE = ("-fsanitize=undefined", "-fno-sanitize-recover=all", "-fno-math-errno", "-fno-trapping-math")


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_nan_stays_nan_and_no_integer_overflows(tmp_path: Path, table: str) -> None:
    isa, flags = TABLES[table]
    need_isa(isa)
    sources = [Path(__file__).with_name("nan_check.c"), ROOT / "csrc/kernels/isa" / table / f"vec_{table}.c"]
    program = compile_c(sources, tmp_path / "nan_check", f"-DVEC=oxi_vec_{table}", *flags, *SANITIZE)

    done = subprocess.run([program], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
