"""The C core built for arm64 and run by an emulator: the isas of a processor, their results, and thread barriers.

Needs Debian's cross compiler and qemu-user (gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user). The project's own
suite under an emulated interpreter is `.ci/arm64`. OXILLAMA_ARM64_OBJECTS names a folder where setup.py has left the
objects of an arm64 build; they are linked instead of being compiled again.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.cc import ROOT, compile_c

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
CSRC, TESTS = ROOT / "csrc", ROOT / "tests"
FLAGS = ["-std=c11", "-O2", "-ffp-contract=off", "-pthread", "-D_GNU_SOURCE", f"-I{CSRC}"]
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
# An emulated processor, and the arm64 isas that it can execute.
# Cortex-A72 has neither half-precision arithmetic nor the dot product, A64FX only the former.
PROCESSORS = {"cortex-a72": [], "a64fx": [], "neoverse-n1": ["neon-dot"], "max": ["neon-dot", "neon-i8mm"]}

CHECKS = [
    TESTS / "kernels" / "isas_check.c",
    Path(__file__).with_name("formats_check.c"),
    Path(__file__).with_name("attend_check.c"),
]


def isa_flags(machine: str) -> dict[str, list[str]]:
    """The file name endings for which setup.py has special compiler flags."""
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())):
        for key, value in zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ():
            if isinstance(key, ast.Constant) and key.value == machine and isinstance(value, ast.Dict):
                return dict(ast.literal_eval(value))
    raise AssertionError(f"setup.py has no flags for {machine}")


def left_by_setup(source: Path) -> str | None:
    """The object file that setup.py built for a C file. If any is missing, the test fails."""
    folder = os.environ.get("OXILLAMA_ARM64_OBJECTS")
    if not folder:
        return None
    target = Path(folder) / source.relative_to(ROOT).with_suffix(".o")
    assert target.is_file(), f"{target} is missing: build the wheel for arm64 first"
    return str(target)


def isas_built() -> list[str]:
    sources = [path.read_text() for path in sorted((CSRC / "kernels" / "isa").glob("*/gemm_*.c"))]
    return sorted(name for text in sources for name in re.findall(r'TABLE\("(neon[^"]*)"', text))


def emulated(program: Path, *arguments: str, cpu: str  =  "max") -> subprocess.CompletedProcess[str]:
    command = [EMULATOR, "-cpu", cpu, str(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function that compiles C files for arm64, each with the flags of its instruction set, into one program."""
    for tool in (COMPILER, EMULATOR):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    if not CSRC.is_dir():
        pytest.skip("needs the sources in csrc/")
    folder = tmp_path_factory.mktemp("arm64")
    flags = isa_flags("aarch64")

    def build_program(name: str, sources: list[Path], *defines: str) -> Path:
        def compiled(source: Path) -> str:
            if CSRC in source.parents and not defines and (built := left_by_setup(source)):
                return built
            target = folder / f"{name}-{source.parent.name}-{source.stem}.o"
            own = flags.get(source.stem.rpartition("_")[2], [])
            subprocess.run(
                [COMPILER, *FLAGS, *WARNINGS, *own, *defines, "-c", str(source), "-o", str(target)], check=True
            )
            return str(target)

        with ThreadPoolExecutor(os.cpu_count() or 1) as workers:
            objects = list(workers.map(compiled, sources))
        program = folder / name
        subprocess.run([COMPILER, "-static", "-pthread", *objects, "-lm", "-o", str(program)], check=True)
        return program

    return build_program


@pytest.mark.parametrize("source", CHECKS, ids=lambda path: path.stem)
def test_rows_that_only_emulators_run_still_compile(source: Path, tmp_path: Path) -> None:
    compile_c([source], tmp_path / "none", "-fsyntax-only")


@pytest.fixture(scope="module")
def isas_check(build: Callable[..., Path]) -> Path:
    sources = [p for p in sorted(CSRC.rglob("*.c")) if "fuzz" not in p.parts and "_avx" not in p.name]
    return build("isas_check", [*sources, CHECKS[0]])


@pytest.mark.slow
@pytest.mark.parametrize("cpu", PROCESSORS)
def test_a_processor_gets_the_isas_it_can_execute_and_they_agree_with_generic(isas_check: Path, cpu: str) -> None:
    done = emulated(isas_check, cpu=cpu)

    assert done.returncode == 0, done.stdout + done.stderr
    isas = ["generic", *(isa for isa in isas_built() if isa in PROCESSORS[cpu])]
    assert done.stdout.splitlines() == [f"{isa} ok" for isa in isas]


@pytest.mark.slow
@pytest.mark.parametrize("park", ["", "-DOXI_PARK_PORTABLE"], ids=["futex", "condition variable"])
def test_threads_meet_and_memory_is_whole(build: Callable[..., Path], park: str) -> None:
    sources = [TESTS / "platform" / "pool_check.c", *sorted((CSRC / "platform").glob("*.c"))]
    program = build(f"pool_check{len(park)}", sources, *([park] if park else []))

    done = emulated(program)

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_mapping_keeps_its_contract(build: Callable[..., Path], tmp_path: Path) -> None:
    sources = [TESTS / "platform" / "mapping_check.c", *sorted((CSRC / "platform").glob("*.c"))]

    done = emulated(build("mapping_check", sources), str(tmp_path / "scratch"))

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_formats_decode_and_encode_to_the_same_bits_as_here(build: Callable[..., Path], tmp_path: Path) -> None:
    sources = [CHECKS[1], *sorted((CSRC / "quant").rglob("*.c")), *sorted((CSRC / "platform").glob("*.c"))]
    here = compile_c(sources, tmp_path / "formats_check", "-ffp-contract=off")

    done = emulated(build("formats_check", sources))

    native = subprocess.run([here], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == native.stdout.splitlines()
    assert done.stdout.count("decode ") >= 30
    assert done.stdout.count("encode ") >= 30


@pytest.mark.slow
def test_attention_equals_its_formula_and_its_parts(build: Callable[..., Path]) -> None:
    isa = CSRC / "kernels" / "isa"

    done = emulated(build("attend_check", [CHECKS[2], isa / "generic" / "vec_generic.c", isa / "neon" / "vec_neon.c"]))

    assert done.returncode == 0, done.stderr
    types = ("f32", "f16", "i16", "q8_0")
    assert done.stdout.splitlines() == [f"{name} {kind} ok" for name in ("generic", "neon") for kind in types]
