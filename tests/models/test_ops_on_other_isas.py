"""The tests of single ops again, in a process for each other isa."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from oxillama.core._core import available_isas, isa

HERE = Path(__file__).parent
MODULES = [
    str(HERE / f"test_{name}.py") for name in ("ops", "attention_op", "recurrent_ops", "long_attention")
]


def other_isas() -> list[str]:
    """One isa of each family with different vector functions, except the isa of this process."""
    found = {name.split("-")[0]: name for name in available_isas()}
    return [name for family, name in found.items() if family != isa().split("-")[0]]


def run_tests(name: str, *chosen: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen],
        env=os.environ | {"OXILLAMA_ISA": name},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("name", other_isas())
def test_ops_on_other_instruction_sets(name: str) -> None:
    run_tests(name, *MODULES)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in available_isas() if name.endswith("-base")])
def test_integer_attention_without_its_instruction(name: str) -> None:
    """Isas of one family share their float functions; products of pairs of integers differ."""
    run_tests(name, "-k", "formula and (i16 or q8_0)", MODULES[-1])
