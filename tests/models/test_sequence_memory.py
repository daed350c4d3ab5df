"""What sequences take is known before a model is loaded: pages by class of layers, and recurrent states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama import machine
from oxillama.errors import InsufficientMemoryError
from oxillama.gguf import GGUFFile
from oxillama.machine import Memory
from oxillama.models import describe_model, load_model
from oxillama.models.describe import build_graph
from oxillama.models.graph import ops
from oxillama.models.graph.recurrent_ops import Conv
from oxillama.models.memory import SequenceMemory, bytes_per_token, largest, sequence_memory
from oxillama.models.tensors import Vector
from tests.support.oracles import make_oracle
from tests.support.tiny_models import tiny_model

MIB = 1 << 20


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_oracle("gemma3", tmp_path_factory.mktemp("m") / "gemma3.gguf")


@pytest.fixture(scope="module")
def deepseek(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_oracle("deepseek2-lite", tmp_path_factory.mktemp("m") / "deepseek2.gguf")


@pytest.mark.parametrize("kv_type", ["f32", "f16", "i16", "q8_0"])
@pytest.mark.parametrize(("name", "n_active", "n_saved"), [("gemma", None, 0), ("gemma", 2, 7), ("deepseek", None, 0)])
def test_a_runner_takes_what_was_estimated(
    request: pytest.FixtureRequest, name: str, kv_type: str, n_active: int | None, n_saved: int
) -> None:
    path: Path = request.getfixturevalue(name)
    model = load_model(path, n_ctx=4096, n_batch=64, n_seqs=9, n_active=n_active, n_saved=n_saved, kv_type=kv_type)
    estimate = sequence_memory(build_graph(model.gguf).graph, kv_type)
    use = estimate.of(n_pages=128, n_batch=64, n_active=n_active or 9, n_saved=n_saved)
    pages = {window: n * size for window, n, _, size in model.runner.classes}
    assert (use.cache, use.windows) == (pages.pop(0), sum(pages.values()))
    assert (use.cache + use.windows, use.states) == (model.runner.cache_bytes, model.runner.state_bytes)
    assert model.runner.n_saved == n_saved


def test_a_latent_is_kept_once(deepseek: Path) -> None:
    graph = build_graph(GGUFFile(deepseek)).graph
    keys = sum(4 * layer.key_dim for layer in graph.cache_layers())
    assert bytes_per_token(sequence_memory(graph, "f32")) == keys


def test_states_are_counted_once_each_and_on_cache_lines(tmp_path: Path) -> None:
    gguf = GGUFFile(tiny_model(tmp_path / "m.gguf"))
    graph = build_graph(gguf).graph
    x = ops.Value(16).view()
    kernel = Vector(16, lambda: np.zeros(16, np.float32))
    state = ops.State(17)
    graph.ops += [Conv(False, x, None, x, kernel, 1, "none", s) for s in (state, state, ops.State(16))]
    memory = sequence_memory(graph, "f32")
    assert memory.state_bytes == 128 + 64
    assert memory.of(n_pages=1, n_batch=8, n_active=3, n_saved=4).states == (1 + 2 * 3 + 4) * 192


def test_what_windows_take_depends_on_sequences_not_on_their_length() -> None:
    memory = SequenceMemory({0: 1, 512: 1000}, 0)
    short, long = (memory.of(n_pages=n, n_batch=512, n_active=4, n_saved=0) for n in (1 << 10, 1 << 20))
    assert (short.cache, long.cache) == (1 << 10, 1 << 20)
    assert short.windows == long.windows == 1000 * (1 + 4 * (17 + 2) + 512 // 32)
    assert memory.of(n_pages=5, n_batch=512, n_active=4, n_saved=0).windows == 1000 * (1 + 5 + 4)


@pytest.mark.parametrize(("room", "n"), [(-1, 0), (9, 0), (10, 0), (15, 1), (34, 4), (35, 5), (1000, 5)])
def test_the_largest_number_that_fits(room: int, n: int) -> None:
    assert largest(5, lambda n: 10 + 5 * n, room) == n


def test_info_shows_weights_cache_windows_and_states_apart(gemma: Path) -> None:
    description = describe_model(GGUFFile(gemma))
    use = sequence_memory(build_graph(GGUFFile(gemma)).graph, "f32").of(
        n_pages=-(-description.context_length // 32), n_batch=512, n_active=1, n_saved=0
    )
    assert description.memory == {
        "weights": description.packed_bytes,
        "cache": use.cache,
        "windows": use.windows,
        "states": 0,
    }
    assert use.windows > 0


def test_memory_for_later_requests_shrinks_before_a_model_is_refused(
    gemma: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: Any = {"n_ctx": 1024, "n_batch": 32, "n_seqs": 4, "n_active": 1}
    weights = describe_model(GGUFFile(gemma)).packed_bytes
    memory = sequence_memory(build_graph(GGUFFile(gemma)).graph, "f32")
    least, more = (memory.of(n_pages=32, n_batch=32, n_active=1, n_saved=n).total for n in (0, 3))
    for room, saved in ((0, 0), (8 * (more - least) - 1, 2), (8 * (more - least), 3), (MIB << 10, 9)):
        monkeypatch.setattr(machine, "memory", lambda room=room: Memory(weights + least + room, False))
        model = load_model(gemma, **sizes, n_saved=9)
        assert model.runner.n_saved == saved
        assert weights + model.runner.cache_bytes <= machine.memory().available
    monkeypatch.setattr(machine, "memory", lambda: Memory(weights + least - 1, False))
    with pytest.raises(InsufficientMemoryError, match="for a key/value cache of 1024 tokens"):
        load_model(gemma, **sizes, n_saved=9)


def test_a_model_refused_for_its_states_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_oracle("qwen35", tmp_path / "m.gguf")
    weights = describe_model(GGUFFile(path)).packed_bytes
    monkeypatch.setattr(machine, "memory", lambda: Memory(3 * weights, False))
    load_model(path, n_ctx=32, n_seqs=1).close()
    message = r"for recurrent states of 5000 sequences\), and the machine has .* let fewer requests run at once"
    with pytest.raises(InsufficientMemoryError, match=message):
        load_model(path, n_ctx=32, n_seqs=5000, n_batch=5000)
