"""A model that does not fit in memory is refused before memory is allocated, and optional memory shrinks to fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from oxillama import machine
from oxillama.engine.api.config import EngineConfig
from oxillama.engine.loading import load_bundle
from oxillama.errors import InsufficientMemoryError
from oxillama.gguf import GGUFFile
from oxillama.machine import Memory
from oxillama.models import describe_model, load_model
from tests.support.tiny_models import tiny_model


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("room") / "m.gguf")


@pytest.fixture(scope="module")
def weights(path: Path) -> int:
    return describe_model(GGUFFile(path)).packed_bytes


@pytest.fixture(scope="module")
def page(path: Path) -> int:
    return 32 * describe_model(GGUFFile(path)).kv_bytes_per_token["f32"]


def leave(monkeypatch: pytest.MonkeyPatch, n_bytes: int, *, limited: bool = False) -> None:
    monkeypatch.setattr(machine, "memory", lambda: Memory(n_bytes, limited))


@pytest.mark.parametrize(("limited", "bound"), [(True, "its control group allows"), (False, "the machine has")])
def test_a_model_larger_than_memory_is_refused_with_both_sizes(
    path: Path, weights: int, monkeypatch: pytest.MonkeyPatch, limited: bool, bound: str
) -> None:
    leave(monkeypatch, weights // 2, limited=limited)
    packed: list[float] = []
    with pytest.raises(InsufficientMemoryError) as refused:
        load_model(path, n_ctx=32, progress=packed.append)
    text = str(refused.value)
    assert text.startswith(f"{path}: needs 0.")
    assert f"MiB for weights, 0.0 MiB for a key/value cache of 32 tokens), and {bound} 0." in text
    assert "smaller model" in text
    assert not packed


def test_a_context_that_does_not_fit_with_the_weights_is_refused(
    path: Path, weights: int, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(monkeypatch, 4 * weights)
    fits = 3 * weights // page
    assert load_model(path, n_ctx=32 * fits).runner.n_pages == fits
    with pytest.raises(InsufficientMemoryError, match="take a shorter context"):
        load_model(path, n_ctx=32 * (fits + 1))


def test_a_default_context_is_as_long_as_memory_allows(
    path: Path, weights: int, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(monkeypatch, weights + 3 * page)
    assert load_model(path).runner.n_ctx == 96


def test_the_cache_of_several_contexts_shrinks_to_fit_memory(
    path: Path, weights: int, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """256 tokens are 8 pages; the default is four times as many."""
    pages = {}
    for room in (8, 19, 32, 100):
        leave(monkeypatch, weights + room * page)
        parts = load_bundle(path, EngineConfig(n_threads=1))
        pages[room] = parts.runner.n_pages
        parts.close()
    assert pages == {8: 8, 19: 19, 32: 32, 100: 32}
    leave(monkeypatch, weights + 7 * page)
    with pytest.raises(InsufficientMemoryError, match="256 tokens"):
        load_bundle(path, EngineConfig(n_threads=1))


def test_without_a_figure_for_available_memory_nothing_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory", lambda: None)
    assert load_model(path, more_kv_pages=5).runner.n_pages == 8 + 5
