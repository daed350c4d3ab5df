"""The isas that the processor can execute according to the system, for a comparison with the core's answer."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oxillama.core._core import available_isas

_AVX2 = {"avx2", "fma", "f16c", "bmi2"}
_AVX512 = _AVX2 | {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
_NEON = {"asimddp", "asimdhp"}
NEEDS: dict[str, dict[str, set[str]]] = {
    "x86_64": {
        "avx2-base": _AVX2,
        "avx2-vnni": _AVX2 | {"avx_vnni"},
        "avx512-base": _AVX512,
        "avx512-vnni": _AVX512 | {"avx512_vnni"},
        "avx512-vbmi": _AVX512 | {"avx512_vnni", "avx512vbmi"},
        "avx512-bf16": _AVX512 | {"avx512_bf16"},
    },
    "aarch64": {"neon-dot": _NEON, "neon-i8mm": _NEON | {"i8mm"}},
}
"""Isa → the flags of /proc/cpuinfo that it needs."""


def executable_isas(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    """The isas that the processor can execute according to Linux; on other systems only generic."""
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    flags: set[str] = set()
    for line in text.splitlines():
        name, _, words = line.partition(":")
        if name.strip() in ("flags", "Features"):
            flags = set(words.split())
            break
    return {"generic"} | {isa for isa, needs in NEEDS.get(platform.machine(), {}).items() if needs <= flags}


def isas() -> list[Any]:
    """All isas; all but the quickest of each family, whose products of floats are the same, in the slow run."""
    quickest = {name.split("-")[0]: name for name in available_isas()}
    return [
        name if name in quickest.values() else pytest.param(name, marks=pytest.mark.slow) for name in available_isas()
    ]


def need_isa(name: str) -> None:
    """Skip the calling test if the isa is not available. In CI, fail instead if the processor can execute it."""
    if name in available_isas():
        return
    if os.environ.get("CI") == "true" and name in executable_isas():
        pytest.fail(f"this processor can execute {name}, and the build does not offer it")
    pytest.skip(f"this machine cannot execute {name}")


def run_on(isa: str, code: str, *args: str | Path) -> None:
    """Run Python code in a process that uses this isa; it gets isa and args. Fails with what it wrote on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", code, isa, *map(str, args)],
        env=os.environ | {"OXILLAMA_ISA": isa, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def report() -> str:
    """One line for the head of a test run."""
    missing = sorted(executable_isas() - set(available_isas()))
    return f"isas: {', '.join(available_isas())}" + (f"; not offered: {', '.join(missing)}" if missing else "")
