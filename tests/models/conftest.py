"""Fixtures of the tests of single ops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.formulas import Floats
from tests.support.graphs import TOKENS, OpBench


@pytest.fixture
def bench(tmp_path: Path) -> OpBench:
    return OpBench(tmp_path / "ops.gguf")


@pytest.fixture
def x64(bench: OpBench) -> Floats:
    """The rows of TOKENS in float64."""
    return bench.embedding[TOKENS].astype(np.float64)
