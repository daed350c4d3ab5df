"""What a model that embeds takes beside its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oxillama.engine.api.config import EngineConfig
from oxillama.engine.loading import load_bundle
from oxillama.engine.model import Model
from tests.support.oracles import make_oracle


@pytest.mark.parametrize("name", ["qwen35", "lfm2", "gemma3"])
def test_vectors_take_few_more_states_and_windows_than_generation(name: str, tmp_path: Path) -> None:
    path = make_oracle(name, tmp_path / "model.gguf")
    plain, embeds = (
        load_bundle(path, EngineConfig(n_threads=1, parallel=1, n_ctx=2048, pooling=kind), spare=True).runner
        for kind in (None, "last")
    )
    assert embeds.state_bytes <= 2 * plain.state_bytes
    assert embeds.cache_bytes <= 1.6 * plain.cache_bytes
    assert embeds.n_pages == plain.n_pages == 2 * 2048 // 32


@pytest.mark.parametrize("name", ["qwen35", "lfm2", "gemma3"])
def test_more_texts_than_share_a_step_get_the_bits_that_each_gets_alone(name: str, tmp_path: Path) -> None:
    texts = [[3 + (7 * i + j) % 120 for j in range(1 + i % 9)] for i in range(30)]
    with Model(make_oracle(name, tmp_path / "model.gguf"), n_threads=1, pooling="last") as model:
        packed = model.embed(texts)
        assert model._packer.n_steps == 4
        assert all(np.array_equal(row, model.embed(text)) for row, text in zip(packed, texts, strict=True))


@pytest.mark.parametrize(("name", "n_ctx", "pages"), [("bert", 512, 512 // 32 + 128), ("qwen3-rerank", 8192, 256)])
@pytest.mark.parametrize("spare", [False, True])
def test_a_model_that_generates_nothing_has_pages_for_texts_alone(
    name: str, n_ctx: int, pages: int, spare: bool, tmp_path: Path
) -> None:
    path = make_oracle(name, tmp_path / "model.gguf")
    bundle = load_bundle(path, EngineConfig(n_threads=1, parallel=8, n_ctx=n_ctx), spare=spare)
    assert not bundle.embedder.generates
    assert bundle.runner.n_pages == bundle.spare_pages == pages
    assert bundle.new_scheduler().n_pages == 0
    with Model.of(bundle) as model:
        assert model.embed([list(range(3, 103)) * 5] * 3).shape[0] == 3
