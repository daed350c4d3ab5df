"""The tiny models of ../shared/oracles, and the logits that another engine computed for them."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oxillama.core._core import dequantize
from oxillama.gguf import GGUFFile
from tests.support.shared import shared
from tests.support.tiny_models import TinyModel


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
    """Write the model. Skips the test if the shared data is missing."""
    _maker().build(name, _specs()[name], out, seed)
    return out


def oracle_model(name: str, path: Path) -> TinyModel:
    """The model in memory, so that it can be changed before it is written. `path`: where it is first made."""
    file = GGUFFile(make_oracle(name, path))
    model = TinyModel(n_layer=0)
    kinds = file.metadata_types
    model.metadata = {
        key: value if isinstance(value, (list, np.ndarray)) else (value, kinds[key])
        for key, value in file.metadata.items()
    }
    model.tensors = {
        tensor: dequantize(info.type, file.raw(tensor), info.n_elements).reshape(info.shape[::-1])
        for tensor, info in file.tensors.items()
    }
    model.types = {tensor: info.type_name for tensor, info in file.tensors.items()}
    return model


def expected(name: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """(tokens [48], logits [48, n_vocab]) for seed 1."""
    for file in ("expected.npz", "expected_more.npz"):
        with np.load(shared(f"oracles/{file}")) as data:
            if f"{name}/tokens" in data:
                return data[f"{name}/tokens"].astype(np.int32), data[f"{name}/logits"]
    raise KeyError(name)


def expected_long(name: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """(tokens [n], positions [21], logits [21, n_vocab] at these positions) for seed 1."""
    with np.load(shared("oracles/expected_long.npz")) as data:
        tokens, positions, logits = (data[f"{name}/{part}"] for part in ("tokens", "positions", "logits"))
        return tokens.astype(np.int32), positions.astype(np.int64), logits


def has_long(name: str) -> bool:
    """Whether there are expected logits of a long sequence."""
    return name in _names("expected_long.npz")


def oracles_of(architecture: str) -> list[str]:
    """The models with logits, the hardest first. Skips the test if the shared data is missing."""
    with_logits = _names("expected.npz") | _names("expected_more.npz")
    found = [name for name, of in _architectures().items() if of == architecture and name in with_logits]
    return sorted(found, key=lambda name: (not has_long(name), not name.endswith("-x")))


@cache
def _names(file: str) -> frozenset[str]:
    with np.load(shared(f"oracles/{file}")) as data:
        return frozenset(key.split("/")[0] for key in data.files)


@cache
def _specs() -> dict[str, Any]:
    specs: dict[str, Any] = _maker().load_specs() | _maker().load_specs("specs_more.json.gz")
    return specs


def _architectures() -> dict[str, str]:
    return {name: spec["arch"] for name, spec in _specs().items()}


def columns(name: str) -> Any:
    """Which columns of the logits are kept: an array, or all of them."""
    with np.load(shared("oracles/expected_more.npz")) as data:
        return data[f"{name}/columns"] if f"{name}/columns" in data else slice(None)


def nmse(got: npt.NDArray[np.float32], want: npt.NDArray[np.float32]) -> float:
    """The normalised mean squared error: the sum of squared differences over the sum of squares of `want`."""
    return float(((got.astype(np.float64) - want) ** 2).sum() / (want.astype(np.float64) ** 2).sum())


def embedded(name: str) -> tuple[list[npt.NDArray[np.int32]], dict[str, npt.NDArray[np.float32]]]:
    """(texts as ids, what each pooling gives for them: rows by text, or by token for "none"), for seed 1."""
    with np.load(shared("oracles/expected_embed.npz")) as data:
        tokens, lengths = data[f"{name}/tokens"].astype(np.int32), data[f"{name}/lengths"]
        found = {
            kind: f"{name}/{'hidden' if kind == 'none' else kind}" for kind in ("none", "mean", "cls", "last", "rank")
        }
        return np.split(tokens, np.cumsum(lengths)[:-1]), {k: data[key] for k, key in found.items() if key in data}
