"""Texts longer than a step: they are cut where their tokens see none after them, and generations go on in between."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

from oxillama.engine.api.config import EngineConfig
from oxillama.engine.embedding.job import Embedding
from oxillama.engine.engine import Engine
from oxillama.engine.model import Model
from oxillama.errors import GenerationError
from tests.engine.harness import request
from tests.engine.test_embedding import Recorder, packer, request_of, run
from tests.support.oracles import make_oracle

LONG = [3 + 11 * i % 120 for i in range(150)]


def test_a_long_text_takes_several_steps_of_the_size_that_is_left() -> None:
    runner = Recorder()
    packs = packer(runner, cuts=True)
    job, other = Embedding(request_of([[2] * 40, [1] * 3])), Embedding(request_of([[1] * 4]))
    packs.add(job)
    packs.add(other)
    assert packs.step(5) == []
    assert packs.step() == []
    assert runner.open == 1
    run(packs)
    assert runner.steps == [[5], [16], [16], [3], [4, 3]]
    assert [row.tolist() for row in job.rows] == [[[6, 3]], [[3, 3]]]  # the row of a text is that of its last part
    assert (job.left, other.left, runner.open) == (0, 0, 0)
    assert (packs.n_steps, packs.n_evaluated) == (5, 47)


def test_a_dropped_request_frees_the_sequence_of_its_long_text() -> None:
    runner = Recorder()
    packs = packer(runner, cuts=True)
    job, other = Embedding(request_of([[2] * 40])), Embedding(request_of([[1] * 40]))
    packs.add(job)
    packs.add(other)
    packs.step()
    packs.drop(other)
    assert runner.open == 1
    packs.drop(job)
    assert (runner.open, packs.idle) == (0, True)
    assert packs.step() == []


def test_a_part_that_is_cancelled_is_repeated() -> None:
    runner = Recorder()
    packs = packer(runner, cuts=True)
    job = Embedding(request_of([[2] * 40]))
    packs.add(job)
    packs.step()
    runner.cancelled = True
    run(packs)
    assert runner.steps == [[16], [16], [8]]
    assert (job.left, job.error, runner.open) == (0, None, 0)


def test_a_long_text_that_fails_ends_its_request_alone() -> None:
    runner = Recorder(poison=9)
    bad, good = Embedding(request_of([[1] * 20 + [9] * 20])), Embedding(request_of([[1] * 40]))
    run(packer(runner, cuts=True), bad, good)
    assert isinstance(bad.error, GenerationError)
    assert (good.left, good.error, runner.open) == (0, None, 0)


@pytest.mark.parametrize("name", ["qwen35", "lfm2", "gemma3", "qwen3-embed"])
@pytest.mark.parametrize("pooling", ["last", "cls", "none"])
def test_a_cut_changes_no_bit(name: str, pooling: str, tmp_path: Path) -> None:
    path = make_oracle(name, tmp_path / "model.gguf")
    with Model(path, n_threads=1, pooling=pooling) as model:
        whole = model.embed(LONG)
    with Model(path, n_threads=1, pooling=pooling, n_batch=16) as model:
        assert np.array_equal(model.embed(LONG), whole)
        assert model._packer.n_steps == 10


async def test_generations_go_on_between_the_parts_of_a_long_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_oracle("qwen3-embed", tmp_path / "model.gguf")
    with Model(path, n_threads=1) as model:
        want = model.embed(LONG)
    config = EngineConfig(n_threads=1, n_ctx=256, n_batch=64, n_prefill_shared=8)
    async with Engine.open(path, config) as engine:
        step, generate, gate = engine._packer._step, engine._stepper.step, threading.Event()
        seen: list[tuple[int, int]] = []
        rows: list[Any] = []

        def noted(tokens: Any, *rest: Any) -> Any:
            seen.append((len(tokens), engine._stepper.n_steps))
            return step(tokens, *rest)

        async def ask() -> None:
            rows.extend(await engine.embed(request_of([LONG])))

        engine._packer._step = noted
        monkeypatch.setattr(engine._stepper, "step", lambda: (gate.wait(10), generate())[1])
        async with (
            engine.generate(request((5, 6, 7), max_tokens=200, ignore_eos=True)),
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            gate.set()
    assert [n for n, _ in seen] == [8] * 18 + [6]
    assert np.diff([n for _, n in seen]).tolist() == [1] * 18
    assert np.array_equal(rows[0][0], want)
