"""Damaged descriptions: what describe_model accepts is loaded and runs, the rest is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oxillama.errors import ModelError
from oxillama.gguf import GGUFFile
from oxillama.models import describe_model, load_model
from tests.support.oracles import oracle_model
from tests.support.tiny_models import TinyModel

FAMILIES = ["deepseek2-v3", "deepseek2-mha", "deepseek2-glm47flash", "deepseek2-mistral", "deepseek2-ocr"]
"""Oracles whose descriptions are damaged."""
VALUES: list[Any] = [
    *(0, 1, 2, 3, 7, 8, 15, 16, 17, 32, 48, 64, 80, 96, 128, 4096, 2**16, 2**20, 2**28, 2**31 - 1, 2**31, 2**32 - 1),
    *((-1, "i32"), (5, "u64"), (2**63, "u64"), 0.0, 1e-30, 0.5, 1.0, 1e4, 1e30, -1.0, float("nan"), float("inf")),
    *("", "none", "linear", "yarn", "longrope", True, False),
]
ARRAYS = st.lists(st.sampled_from([0, 1, 2, 4, 16, 64]), min_size=1, max_size=6).map(lambda v: np.array(v, np.int32))


@pytest.fixture(scope="module", params=FAMILIES)
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    return oracle_model(request.param, tmp_path_factory.mktemp("family") / "model.gguf")


def description_or_refusal(path: Path) -> Any:
    try:
        return describe_model(GGUFFile(path))
    except ModelError as error:
        return str(error)


def damaged(model: TinyModel, draw: st.DataObject) -> TinyModel:
    """A copy with one to three keys or tensors that were changed, left out or moved to another size."""
    copy = TinyModel(n_layer=0)
    copy.metadata, copy.tensors, copy.types = dict(model.metadata), dict(model.tensors), dict(model.types)
    keys = sorted(key for key in model.metadata if not key.startswith(("general.", "tokenizer.")))
    for _ in range(draw.draw(st.integers(1, 3))):
        if draw.draw(st.integers(0, 3)):
            key = draw.draw(st.sampled_from(keys))
            change = draw.draw(st.one_of(st.none(), st.sampled_from(VALUES), ARRAYS))
            copy.metadata.pop(key, None)
            if change is not None:
                copy.metadata[key] = change
            continue
        name = draw.draw(st.sampled_from(sorted(copy.tensors)))
        array = copy.tensors[name]
        match draw.draw(st.integers(0, 3)):
            case 0:
                copy.tensors[f"{name}s"] = copy.tensors.pop(name)
            case 1 if len(array) > 1:
                copy.tensors[name] = array[:-1]
            case 2:
                copy.tensors[name] = np.concatenate([array, array[:1]])
            case 3 if array.ndim < 4:
                copy.tensors[name] = array[None]
    return copy


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_described_means_loadable(original: TinyModel, tmp_path: Path, draw: st.DataObject) -> None:
    path = damaged(original, draw).write(tmp_path / "damaged.gguf")
    described = description_or_refusal(path)
    if isinstance(described, str):
        assert str(path) in described
        assert "\n" not in described
        with pytest.raises(ModelError):
            load_model(path, n_threads=1, n_ctx=32)
        return
    model = load_model(path, n_threads=1, n_ctx=min(described.context_length, 64), n_batch=4)
    logits = model.runner.step(np.array([1], np.int32), [model.runner.seq_open()], [1], np.ones(1, bool))
    assert logits.shape == (1, described.vocabulary)
    model.close()
