"""The core refuses programs with indices, rows or sizes that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oxillama.core._core import Program, Runner, ThreadPool
from oxillama.errors import InvalidParameterError
from oxillama.gguf import GGUFFile
from oxillama.models.describe import build_graph
from oxillama.models.graph.builder import Builder
from oxillama.models.graph.lower import Lowering
from oxillama.models.graph.ops import Embed
from oxillama.models.index import find_architecture
from tests.support.graphs import runner_of
from tests.support.tiny_models import TinyModel, tiny_model

VIEW = {"buffer": 0, "column": 0, "width": 1}
SMALL = {"n_vocab": 128, "n_embd": 64, "n_batch": 8, "n_ctx": 64, "n_pages": 2, "n_seqs": 1}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("program") / "m.gguf")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [({"n_vocab": 129}, "logits are not those of 129"), ({"n_embd": 65}, "states have 64 columns, not 65")],
)
def test_a_runner_with_sizes_other_than_the_programs_is_refused(
    path: Path, changes: dict[str, int], complaint: str
) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        runner_of(GGUFFile(path), ThreadPool(1), **changes)


def test_a_table_with_fewer_rows_than_tokens_is_refused(tmp_path: Path) -> None:
    """Rows would be read past the table's end. load_model checks shapes, but the core does not rely on that."""
    model = TinyModel()
    short = model.tensors["token_embd.weight"][:100]
    model.tensors["short.weight"] = short
    gguf = GGUFFile(model.write(tmp_path / "m.gguf"))
    builder = build_graph_of(gguf)
    next(op for op in builder.graph.ops if isinstance(op, Embed)).table = "short.weight"
    program, pool = Program(gguf.core), ThreadPool(1)
    Lowering(builder.graph, program).run()
    program.reserve()
    with pytest.raises(InvalidParameterError, match=r"short\.weight: 100 rows for a vocabulary of 128 tokens"):
        Runner(program, pool, **SMALL, cache_type="f32")


def build_graph_of(gguf: GGUFFile) -> Builder:
    """The graph of the file, without the check for unused tensors."""
    architecture = find_architecture(gguf, "llama")
    builder = Builder(gguf, architecture.hparams(gguf, "llama"), 64)
    architecture.build(builder)
    return builder


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.buffer(0, 8),
        lambda p: p.vector(np.ones(3, np.float32)),
        lambda p: p.table("token_embd.weight"),
        lambda p: p.matrix("output.weight", 1, 0, 128),
        lambda p: p.cache(1, 8, 8),
        lambda p: p.state(8),
        lambda p: p.op("softcap", False, {"x": VIEW, "out": VIEW, "cap": 1.0}),
        lambda p: p.results(VIEW, VIEW),
        lambda p: p.reserve(),
        lambda p: p.pack(0, ThreadPool(1)),
    ],
)
def test_a_program_stays_as_its_runner_measured_it(path: Path, change: Callable[[Program], object]) -> None:
    gguf, pool = GGUFFile(path), ThreadPool(1)
    builder = build_graph(gguf, 64)
    program = Program(gguf.core)
    Lowering(builder.graph, program).run()
    program.reserve()
    runner = Runner(program, pool, **SMALL, cache_type="f32")
    with pytest.raises(InvalidParameterError, match="cannot change while a runner is open"):
        change(program)
    runner.close()
    program.reserve()


def test_matrices_are_declared_before_their_memory_is_reserved(path: Path) -> None:
    gguf = GGUFFile(path)
    program = Program(gguf.core)
    program.matrix("output.weight", 1, 0, 128)
    program.reserve()
    with pytest.raises(InvalidParameterError, match="has been reserved"):
        program.matrix("blk.0.attn_q.weight", 1, 0, 64)


@pytest.mark.parametrize(
    ("kind", "outputs", "fields"),
    [
        ("embed", True, {"out": {"buffer": 0, "column": 0, "width": 64}, "table": 0, "by": 0, "scale": 1.0}),
        ("rope_table", True, {"out": VIEW | {"width": 2}, "frequencies": 0, "magnitude": 1.0}),
        ("kv_store", True, {"k": VIEW, "v": VIEW, "layer": 0}),
        (
            "attention",
            True,
            {
                **{
                    "q": VIEW,
                    "out": VIEW,
                    "layer": 0,
                    "n_head": 1,
                    "both_ways": 0,
                    "window": 0,
                    "chunked": 0,
                    "slopes": -1,
                    "sinks": -1,
                },
                **{"scale": 1.0, "softcap": 0.0},
                **{"temperature_scale": 0.0, "temperature_floor": 0, "temperature_offset": 0},
            },
        ),
        ("select", False, {"x": VIEW, "out": VIEW, "mean": 0}),
    ],
)
def test_an_op_accepts_only_the_rows_that_it_fits(path: Path, kind: str, outputs: bool, fields: dict[str, Any]) -> None:
    gguf = GGUFFile(path)
    program = Program(gguf.core)
    program.buffer(0, 64)
    program.vector(np.ones(1, np.float32))
    program.table("token_embd.weight")
    program.cache(1, 1, 1)
    program.op(kind, not outputs, fields)
    with pytest.raises(InvalidParameterError, match="does not fit"):
        program.op(kind, outputs, fields)


@pytest.mark.parametrize(
    ("x", "out", "fits"),
    [
        (128, 256, True),
        (130, 258, True),  # a column of each head is left over, and moves along
        (126, 254, False),  # a head of x has fewer columns than its matrix
        (129, 257, False),  # heads of unequal width
        (130, 256, False),  # no room for what is left over
    ],
)
def test_a_product_for_every_head_fits_its_heads(tmp_path: Path, x: int, out: int, fits: bool) -> None:
    model = TinyModel()
    model.add_matrix("heads", 2, 128, 64)
    program = Program(GGUFFile(model.write(tmp_path / "m.gguf")).core)
    views = [VIEW | {"buffer": program.buffer(slot, 512), "width": width} for slot, width in enumerate((x, out))]
    fields = {"x": views[0], "out": views[1], "matrix": program.matrix("heads.weight", 2, 0, 128)}
    fields["shared"] = False
    if fits:
        program.op("head_linear", False, fields)
        return
    with pytest.raises(InvalidParameterError, match="does not fit"):
        program.op("head_linear", False, fields)


def test_only_one_op_writes_a_state(tmp_path: Path) -> None:
    program = Program(GGUFFile(TinyModel().write(tmp_path / "m.gguf")).core)
    x, out = (VIEW | {"buffer": program.buffer(slot, 16), "width": 16} for slot in range(2))
    kernel, state = program.vector(np.ones(32, np.float32)), program.state(16)
    absent = {"buffer": -1, "column": 0, "width": 0}
    fields = {"x": x, "times": absent, "out": out, "kernel": kernel, "n_taps": 2, "fn": 0, "state": state, "bias": -1}
    program.op("conv", False, fields)
    with pytest.raises(InvalidParameterError, match="does not fit"):
        program.op("conv", False, fields)
    program.op("conv", False, fields | {"state": program.state(16)})
