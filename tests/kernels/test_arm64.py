"""The arm64 rows, cross-compiled and emulated: skipped where Debian's cross compiler or qemu is missing."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
NEON = ["-march=armv8.2-a+dotprod+fp16"]  # as in setup.py


def sources() -> list[Path]:
    kernels = [p for p in (ROOT / "csrc" / "kernels").glob("*.c") if "_avx" not in p.name]
    platform = [ROOT / "csrc" / "platform" / name for name in ("error.c", "memory.c", "pool.c")]
    return [*kernels, *(ROOT / "csrc" / "quant").glob("*.c"), *platform, Path(__file__).with_name("rows_check.c")]


@pytest.mark.slow
def test_the_neon_row_agrees_with_generic_under_emulation(tmp_path: Path) -> None:
    for tool in (COMPILER, EMULATOR):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    flags = [
        "-std=c11",
        "-O2",
        "-ffp-contract=off",
        "-D_GNU_SOURCE",
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-I{ROOT / 'csrc'}",
    ]

    def compiled(source: Path) -> str:
        target = str(tmp_path / f"{source.stem}.o")
        isa = NEON if source.stem.endswith("_neon") else []
        subprocess.run([COMPILER, *flags, *isa, "-c", str(source), "-o", target], check=True)
        return target

    with ThreadPoolExecutor(2) as workers:
        objects = list(workers.map(compiled, sources()))
    program = str(tmp_path / "rows_check")
    subprocess.run([COMPILER, "-static", "-pthread", *objects, "-lm", "-o", program], check=True)

    done = subprocess.run([EMULATOR, "-cpu", "max", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert done.stdout.split() == ["generic", "ok", "neon-dot", "ok"]
