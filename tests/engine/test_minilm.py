"""A published encoder: ids and vectors of its sentences as another implementation gives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama import Model
from oxillama.gguf import GGUFFile
from oxillama.quant.convert import Options, convert, plan
from tests.support.shared import shared

FILE = "models/minilm/paraphrase-MiniLM-L3-v2-q8_0.gguf"


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    path = shared("models/minilm/paraphrase-MiniLM-L3-v2.expected.json")
    return dict(json.loads(path.read_text("utf-8")))


def cosines(model: Model, expected: dict[str, Any]) -> Any:
    assert [model.tokenize(text, parse_special=True) for text in expected["sentences"]] == expected["ids"]
    got, want = model.embed(expected["sentences"]), np.array(expected["q8_0"])
    return (got * want).sum(1) / np.linalg.norm(want, axis=1)


def test_the_quantised_file(expected: dict[str, Any]) -> None:
    with Model(shared(FILE), n_threads=2) as model:
        found = cosines(model, expected)
    empty = expected["sentences"].index("")
    assert found[empty] >= 0.9989
    assert np.delete(found, empty).min() >= 0.9994


def test_its_weights_in_float32(expected: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "f32.gguf"
    file, options = GGUFFile(shared(FILE)), Options(threads=2, requantize=True, pure=True)
    convert(file, path, plan(file, "F32", options), options, None)
    with Model(path, n_threads=2) as model:
        assert cosines(model, expected).min() >= 1 - 1e-4
