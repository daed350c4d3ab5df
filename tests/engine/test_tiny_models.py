"""Random models with the real core: batches change no token, leaving frees memory, and idling takes no CPU time."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import trio

import oxillama
from oxillama import EngineConfig, GenerationRequest, SamplingParams
from oxillama.engine.engine import Engine
from oxillama.engine.loading import load_bundle
from tests.support.tiny_models import tiny_model

SETTINGS = [
    SamplingParams(temperature=0.0, max_tokens=40, ignore_eos=True),
    SamplingParams(temperature=0.8, top_k=40, seed=7, max_tokens=40, ignore_eos=True),
    SamplingParams(temperature=1.0, top_p=0.9, repeat_penalty=1.1, seed=8, max_tokens=40, ignore_eos=True),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny.gguf", vocab="spm")


@pytest.mark.parametrize("type_name", ["F32", "F16", "Q8_0", "Q4_0", "Q4_K"])
async def test_requests_in_a_batch_get_the_same_tokens_as_alone(type_name: str, tmp_path: Path) -> None:
    model_path = tiny_model(tmp_path / "m.gguf", type_name=type_name, n_embd=256, n_head=4, head_dim=64, n_ff=256)
    rng = np.random.default_rng(3)
    requests = [
        GenerationRequest(prompt_ids=tuple(rng.integers(0, 128, n).tolist()), sampling=SETTINGS[i % 3])
        for i, n in enumerate([1, 70, 12, 33, 2, 100, 5])
    ]
    with oxillama.Model(model_path) as model:
        alone = [[e.token_id for e in model.events(r.prompt_ids, r.sampling)] for r in requests]
    together: list[list[int | None]] = [[] for _ in requests]
    config = EngineConfig(parallel=4, n_prefill_shared=16)
    async with oxillama.Engine.open(model_path, config) as engine, trio.open_nursery() as nursery:

        async def one(i: int) -> None:
            async with engine.generate(requests[i]) as stream:
                together[i] = [e.token_id async for e in stream]

        for i in range(len(requests)):
            nursery.start_soon(one, i)
    assert together == alone


async def test_requests_that_fill_a_small_cache_take_turns_and_lose_nothing(path: Path) -> None:
    """Six requests without a token limit share a cache of two contexts, as on a server whose clients give no limit."""
    settings = [dataclasses.replace(SETTINGS[i % 3], max_tokens=None) for i in range(6)]
    prompts = [tuple(range(3 + i, 20 + 13 * i)) for i in range(6)]
    with oxillama.Model(path, n_ctx=512) as model:
        alone = [[e.token_id for e in model.events(p, s)] for p, s in zip(prompts, settings, strict=True)]
    together: list[list[int | None]] = [[] for _ in prompts]
    bundle = load_bundle(path, EngineConfig(parallel=6, n_ctx=512, kv_pages=32, n_prefill_shared=32))
    recorder = Recorder(bundle.runner)  # none starts before all have arrived
    async with Engine.serve(dataclasses.replace(bundle, runner=cast(Any, recorder))) as engine:

        async def one(i: int, stream: Any) -> None:
            together[i] = [e.token_id async for e in stream]

        async with contextlib.AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(engine.generate(GenerationRequest(prompt_ids=p, sampling=s)))
                for p, s in zip(prompts, settings, strict=True)
            ]
            recorder.gate.release(100_000)
            async with trio.open_nursery() as readers:
                for i, stream in enumerate(streams):
                    readers.start_soon(one, i, stream)
        while engine.statistics().requests_total < len(prompts):
            await trio.sleep(0.01)
        assert engine.statistics().pauses_total > 0
        assert engine.statistics().free_pages == 32
    assert together == alone


class Recorder:
    """A runner that records the number of sequences of each step, and waits for `gate` before each step."""

    def __init__(self, runner: Any) -> None:
        self.runner = runner
        self.steps: list[int] = []
        self.gate = threading.Semaphore(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.runner, name)

    def step(self, tokens: Any, seqs: Any, counts: Any, outputs: Any) -> Any:
        self.steps.append(len(seqs))
        self.gate.acquire()
        return self.runner.step(tokens, seqs, counts, outputs)


async def test_a_stream_that_was_left_is_not_in_the_next_step(path: Path) -> None:
    bundle = load_bundle(path, EngineConfig())
    recorder = Recorder(bundle.runner)
    request = GenerationRequest(prompt_ids=(1, 5), sampling=SamplingParams(ignore_eos=True), cache_prompt=False)
    async with Engine.serve(dataclasses.replace(bundle, runner=cast(Any, recorder))) as engine:
        async with engine.generate(request) as stays:
            recorder.gate.release()
            await anext(stays)
            async with engine.generate(request) as leaves:
                recorder.gate.release(2)
                await anext(leaves)
            left_at = len(recorder.steps)
            recorder.gate.release(1000)
            assert [event async for event in stays]
        # One step may have been planned when the reader left; all later ones are without its generation.
        assert recorder.steps[left_at - 1] == 2
        assert set(recorder.steps[left_at + 1 :]) == {1}
        assert bundle.runner.free_pages == bundle.runner.n_pages


async def test_an_idle_engine_uses_no_processor_time(path: Path) -> None:
    async with oxillama.Engine.open(path) as engine:
        request = GenerationRequest(prompt_ids=(1,), sampling=SamplingParams(max_tokens=5))
        async with engine.generate(request) as stream:
            assert [event async for event in stream]
        await trio.sleep(0.05)
        before = time.process_time()
        await trio.sleep(0.5)
        assert time.process_time() - before < 0.1


async def test_the_event_loop_runs_while_the_model_computes(path: Path) -> None:
    turns = 0
    request = GenerationRequest(prompt_ids=(1,) * 200, sampling=SamplingParams(ignore_eos=True))
    async with oxillama.Engine.open(path, EngineConfig(n_batch=256)) as engine, engine.generate(request) as stream:
        async for _ in stream:
            await trio.sleep(0)
            turns += 1
    assert turns == 56


def test_a_model_without_vocabulary_gives_logits_and_tokens(tmp_path: Path) -> None:
    with oxillama.Model(tiny_model(tmp_path / "m.gguf")) as model:
        ids = list(range(1, 120, 3))
        whole = model.logits(ids)
        assert whole.shape == (len(ids), 128)
        greedy = [e.token_id for e in model.events(ids, SamplingParams(temperature=0.0, max_tokens=1))]
        assert greedy == [int(whole[-1].argmax())]
        assert list(model.generate(ids, SamplingParams(max_tokens=5))) == []


def test_logits_in_chunks_are_those_of_one_call(path: Path) -> None:
    ids = list(range(1, 100))
    with oxillama.Model(path) as one, oxillama.Model(path, n_batch=7) as chunks:
        np.testing.assert_allclose(one.logits(ids), chunks.logits(ids), rtol=1e-4, atol=1e-4)


def test_logprobs_of_a_prompt_are_those_of_its_logits(path: Path) -> None:
    ids = tuple(range(1, 100))
    with oxillama.Model(path) as model:
        rows = model.logits(ids).astype(np.float64)
    exact = rows - rows.max(axis=1, keepdims=True)
    exact -= np.log(np.exp(exact).sum(axis=1, keepdims=True))

    async def main() -> list[float]:
        request = GenerationRequest(prompt_ids=ids, prompt_logprobs=0, sampling=SamplingParams(max_tokens=0))
        async with oxillama.Engine.open(path) as engine, engine.generate(request) as stream:
            assert [event async for event in stream]
            return [lp.logprob for lp in stream.prompt_logprobs if lp is not None]

    np.testing.assert_allclose(trio.run(main), exact[np.arange(98), ids[1:]], atol=1e-3)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_leaving_the_block_of_a_model_ends_its_threads(tmp_path: Path) -> None:
    def n_threads() -> int:
        return len(os.listdir("/proc/self/task"))

    path = tiny_model(tmp_path / "m.gguf", vocab="spm")
    before = n_threads()
    with oxillama.Model(path, n_threads=5) as model:
        logits = model.logits([1, 2, 3])
        assert n_threads() == before + 4
    assert n_threads() == before  # though `model` still refers to it
    assert np.isfinite(logits).all()
