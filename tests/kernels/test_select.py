"""Which isa runs: the best by default, what OXILLAMA_ISA asks for, or one clear error."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from oxillama.core import _core
from tests.support.cc import ROOT, compile_c
from tests.support.isas import executable_isas, need_isa


def isa_under(forced: str | None) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "OXILLAMA_ISA"}
    if forced is not None:
        env["OXILLAMA_ISA"] = forced
    code = "from oxillama.core import _core\ntry: print(_core.isa())\nexcept ValueError as e: print('error:', e)"
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)


def test_isas_are_listed_slowest_first_and_generic_is_always_there() -> None:
    isas = _core.available_isas()

    assert isas[0] == "generic"
    assert len(set(isas)) == len(isas)


@pytest.mark.skipif(os.environ.get("OXILLAMA_GENERIC") == "1", reason="the build holds the generic kernels alone")
def test_every_isa_that_the_processor_can_execute_is_there() -> None:
    assert executable_isas() <= set(_core.available_isas())


def test_skipping_an_isa_that_the_processor_can_execute_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.isas.available_isas", lambda: ["generic"])
    monkeypatch.setattr("tests.support.isas.executable_isas", lambda: {"generic", "avx2-base"})
    monkeypatch.setenv("CI", "true")
    need_isa("generic")
    with pytest.raises(pytest.skip.Exception, match="cannot execute avx512-base"):
        need_isa("avx512-base")
    with pytest.raises(pytest.fail.Exception, match="can execute avx2-base"):
        need_isa("avx2-base")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception):
        need_isa("avx2-base")


@pytest.mark.parametrize("forced", [None, ""])
def test_the_best_isa_runs_by_default(forced: str | None) -> None:
    assert isa_under(forced).stdout.strip() == _core.available_isas()[-1]


def test_every_available_isa_can_be_forced_by_its_name() -> None:
    for isa in _core.available_isas():
        assert isa_under(isa).stdout.strip() == isa


def test_a_family_means_its_best_variant() -> None:
    isas = _core.available_isas()
    for family in {isa.partition("-")[0] for isa in isas}:
        best = [isa for isa in isas if isa.partition("-")[0] == family][-1]
        assert isa_under(family).stdout.strip() == best


@pytest.mark.parametrize("wrong", ["sse9", "avx", "avx512-", "AVX2\n"])
def test_an_unknown_isa_is_an_error_that_lists_the_known_ones(wrong: str) -> None:
    out = isa_under(wrong).stdout

    assert out.startswith("error: OXILLAMA_ISA=")
    assert out.count("\n") == 1
    for isa in _core.available_isas():
        assert isa in out


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the isas are those of x86-64")
@pytest.mark.parametrize(
    ("has", "table"),
    [
        ("OXI_CPU_AVX2 | OXI_CPU_AVX512 | OXI_CPU_AVX512BF16", "avx512"),
        ("OXI_CPU_AVX2 | OXI_CPU_AVX512 | OXI_CPU_AVX512VNNI | OXI_CPU_AVX512BF16", "avx512vnni"),
    ],
)
def test_an_isa_contains_no_vector_functions_that_the_processor_cannot_execute(
    tmp_path: Path, has: str, table: str
) -> None:
    names = ("kernels/isa/dispatch.c", "kernels/attention/fetching.c", "kernels/pack/reading.c", "platform/error.c")
    sources = [ROOT / "csrc" / name for name in names]
    sources.append(Path(__file__).with_name("select_check.c"))
    program = compile_c(sources, tmp_path / "select_check", f"-DHAS=({has})")

    done = subprocess.run([program], capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == table, done.stderr
