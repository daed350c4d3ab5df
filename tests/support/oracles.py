"""The tiny models of ../shared/oracles and the logits another engine computes for them."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.support.shared import shared


@cache
def _maker() -> Any:
    path = shared("oracles/make.py")
    spec = importlib.util.spec_from_file_location("oracle_make", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_oracle(name: str, out: Path, seed: int = 1) -> Path:
    """Write the model; skips the test where the shared data is absent."""
    maker = _maker()
    maker.build(name, maker.load_specs()[name], out, seed)
    return out


def expected(name: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """(tokens [48], logits [48, n_vocab]) of seed 1."""
    with np.load(shared("oracles/expected.npz")) as data:
        return data[f"{name}/tokens"].astype(np.int32), data[f"{name}/logits"]


def nmse(got: npt.NDArray[np.float32], want: npt.NDArray[np.float32]) -> float:
    """Sum of squared differences over sum of squares."""
    return float(((got.astype(np.float64) - want) ** 2).sum() / (want.astype(np.float64) ** 2).sum())
