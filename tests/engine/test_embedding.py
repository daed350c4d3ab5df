"""Vectors and scores through a model and an engine: the same bits alone and packed, cancelled, refused and drained."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import trio

from oxillama import Model
from oxillama.engine.api.config import EngineConfig
from oxillama.engine.api.embedding import Embedder, EmbeddingRequest
from oxillama.engine.api.types import GenerationRequest
from oxillama.engine.embedding.job import Embedding
from oxillama.engine.embedding.packer import Packer
from oxillama.engine.engine import Engine
from oxillama.engine.requests.embedding import fitted, pair_ids
from oxillama.errors import (
    ContextLengthError,
    EngineBusyError,
    EngineClosedError,
    GenerationError,
    InvalidParameterError,
    StepCancelledError,
)
from oxillama.models.params.pooling import Pooling
from oxillama.text import PromptText
from tests.support.fake_engine import FakeTokenizer
from tests.support.oracles import embedded, make_oracle, nmse, oracle_model


def request_of(texts: list[Any], **options: Any) -> EmbeddingRequest:
    ids = tuple(tuple(int(i) for i in text) for text in texts)
    return EmbeddingRequest(texts=ids, params=tuple(f"input[{i}]" for i in range(len(ids))), **options)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_oracle("bert", tmp_path_factory.mktemp("model") / "bert.gguf")


# ------------------------------------------------------------------------------------------------------- the packer


class Recorder:
    """A runner that gives a row [sum of the run, length] for each run with a wanted row, and remembers its steps."""

    n_batch, page_size = 64, 4

    def __init__(self, poison: int | None = None) -> None:
        self.steps: list[list[int]] = []
        self.open = 0
        self.poison = poison
        self.cancelled = False

    def seq_open(self) -> int:
        self.open += 1
        return self.open

    def seq_close(self, seq: int) -> None:
        self.open -= 1

    def cancel(self) -> None:
        self.cancelled = True

    def step(self, tokens: Any, seqs: Any, counts: list[int], outputs: Any) -> None:
        if self.cancelled:
            self.cancelled = False
            raise StepCancelledError("cancelled")
        if self.poison in tokens.tolist():
            raise GenerationError("poisoned")
        self.steps.append(list(counts))
        runs, flags = (np.split(whole, np.cumsum(counts)[:-1]) for whole in (tokens, outputs))
        rows = [[run.sum(), len(run)] for run, wanted in zip(runs, flags, strict=True) if wanted.any()]
        self._rows = np.array(rows, np.float32).reshape(-1, 2)

    def embeddings(self) -> Any:
        return self._rows


def packer(runner: Recorder, *, cuts: bool = False, n_texts: int = 99, n_pages: int = 64) -> Packer:
    fake = cast("Any", runner)
    pooling = Pooling(kind="last" if cuts else "mean")
    return Packer(fake, pooling, n_tokens=16, cuts=cuts, n_texts=n_texts, n_pages=n_pages, step=fake.step)


def run(packs: Packer, *jobs: Embedding) -> None:
    for job in jobs:
        packs.add(job)
    for _ in range(100):
        if packs.idle:
            return
        packs.step()
    raise AssertionError("the packer does not end")


def test_texts_share_steps_without_padding_and_keep_their_order() -> None:
    runner = Recorder()
    job = Embedding(request_of([[1] * n for n in (5, 5, 6, 3, 40, 2)]))
    run(packer(runner), job)
    assert runner.steps == [[5, 5, 6], [3], [40], [2]]  # a text that is longer than a step has one to itself
    assert [row.tolist() for row in job.rows] == [[[n, n]] for n in (5, 5, 6, 3, 40, 2)]
    assert runner.open == 0


def test_requests_take_turns() -> None:
    runner = Recorder()
    large, small = Embedding(request_of([[1] * 5] * 30)), Embedding(request_of([[2] * 5]))
    packs = packer(runner)
    packs.add(large)
    packs.add(small)
    assert packs.step() == [small]


def test_a_step_uses_no_more_pages_than_there_are() -> None:
    runner = Recorder()
    run(packer(runner, n_pages=3), Embedding(request_of([[1], [1] * 5, [1], [1]])))
    assert runner.steps == [[1, 5], [1, 1]]


def test_a_step_has_no_more_texts_than_sequences_may_be_in_use() -> None:
    runner = Recorder()
    run(packer(runner, n_texts=2), Embedding(request_of([[1]] * 5)))
    assert runner.steps == [[1, 1], [1, 1], [1]]


def test_only_the_request_of_a_faulty_text_fails() -> None:
    runner = Recorder(poison=9)
    good, bad = Embedding(request_of([[1, 2], [3]])), Embedding(request_of([[4], [9]]))
    run(packer(runner), good, bad)
    assert [row.tolist() for row in good.rows] == [[[3, 2]], [[3, 1]]]
    assert isinstance(bad.error, GenerationError)
    assert runner.open == 0


def test_a_cancelled_step_is_repeated_for_those_who_stay() -> None:
    runner = Recorder()
    job = Embedding(request_of([[1, 2], [3]]))
    runner.cancelled = True
    run(packer(runner), job)
    assert [row.tolist() for row in job.rows] == [[[3, 2]], [[3, 1]]]


def test_a_cancel_between_single_texts_repeats_that_text_alone() -> None:
    """A step fails, so its texts are evaluated one by one, and the cancel of an earlier step meets one of them."""

    class Cancelled(Recorder):
        calls = 0

        def step(self, tokens: Any, seqs: Any, counts: list[int], outputs: Any) -> None:
            self.calls += 1
            self.cancelled = self.calls == 2
            super().step(tokens, seqs, counts, outputs)

    runner = Cancelled(poison=9)
    good, bad = Embedding(request_of([[1, 2], [3], [4]])), Embedding(request_of([[9]]))
    run(packer(runner), good, bad)
    assert isinstance(bad.error, GenerationError)
    assert (good.left, good.error) == (0, None)
    assert [row.tolist() for row in good.rows] == [[[3, 2]], [[3, 1]], [[4, 1]]]
    assert sorted(runner.steps) == [[1], [1], [2]]  # each once
    assert runner.open == 0


def test_a_request_without_texts_ends_at_once() -> None:
    job = Embedding(request_of([]))
    packs = packer(Recorder())
    packs.add(job)
    assert packs.step() == [job]
    assert packs.idle


# -------------------------------------------------------------------------------------------------------- the texts


def test_a_long_text_is_cut_before_the_tokens_that_end_it() -> None:
    tokenizer = FakeTokenizer()
    assert fitted(tokenizer, (1, 5, 6, 7), 4) == (1, 5, 6, 7)
    assert fitted(tokenizer, (1, 5, 6, 7), 3) == (1, 5, 6)
    tokenizer.suffix_ids = (2,)
    assert fitted(tokenizer, (1, 5, 6, 2), 3) == (1, 5, 2)
    assert fitted(None, (1, 5, 6, 2), 3) == (1, 5, 6)


def test_pairs_by_the_files_template_mark_what_users_wrote() -> None:
    class Spy(FakeTokenizer):
        def encode(self, text: str | PromptText, add_special: bool = True, parse_special: bool = False) -> list[int]:
            assert isinstance(text, PromptText)
            assert [text.text[a:b] for a, b in text.content] == ["{document}", "b"]
            return super().encode(text.text, add_special)

    embedder = Embedder(pooling="rank", width=1, pair_template="Q {query} D {document}!")
    assert bytes(i - 3 for i in pair_ids(Spy(), embedder, "{document}", "b")[1:]) == b"Q {document} D b!"


def test_pairs_without_a_template_follow_one_another() -> None:
    tokenizer = FakeTokenizer()
    tokenizer.suffix_ids = (2,)
    embedder = Embedder(pooling="rank", width=1)
    assert pair_ids(tokenizer, embedder, "a", "b") == (1, 100, 101, 2)
    tokenizer.doubles_ends = True
    assert pair_ids(tokenizer, embedder, "a", "b") == (1, 100, 2, 101, 2)


# -------------------------------------------------------------------------------------------------------- the model


def test_a_model_gives_the_oracles_vectors_for_many_texts_and_for_one(bert: Path) -> None:
    texts, expected = embedded("bert")
    with Model(bert, n_batch=64, n_threads=2) as model:
        got = model.embed([text.tolist() for text in texts], normalize=False)
        assert nmse(got, expected["cls"]) <= 1e-6
        one = model.embed(texts[2].tolist(), normalize=False)
        assert np.array_equal(one, got[2])
        np.testing.assert_allclose(np.linalg.norm(model.embed([t.tolist() for t in texts]), axis=1), 1, rtol=1e-6)
        short = model.embed(texts[0].tolist(), dimensions=16)
        np.testing.assert_allclose(short, got[0][:16] / np.linalg.norm(got[0][:16]), rtol=1e-5, atol=1e-6)


def test_pooling_chosen_at_opening(bert: Path) -> None:
    texts, expected = embedded("bert")
    with Model(bert, pooling="none") as model:
        rows = model.embed(texts[1].tolist(), normalize=False)
        assert nmse(rows, expected["none"][5:22]) <= 1e-6
        with pytest.raises(InvalidParameterError, match="opened with pooling 'none', not 'mean'"):
            model.embed([1], pooling="mean")


def test_scores_of_pairs(tmp_path: Path) -> None:
    texts, expected = embedded("qwen3-rerank")
    with Model(make_oracle("qwen3-rerank", tmp_path / "model.gguf")) as model:
        scores = model.embed([text.tolist() for text in texts])
        assert nmse(scores, expected["rank"]) <= 1e-6
        assert model._bundle.embedder.reranks


def test_what_a_model_cannot_do_is_one_line(bert: Path, tmp_path: Path) -> None:
    with Model(bert, n_ctx=64) as model:
        with pytest.raises(ContextLengthError, match=r"Invalid 'texts\[1\]': it has 65 tokens"):
            model.embed([[1], [1] * 65])
        with pytest.raises(InvalidParameterError, match="Invalid 'texts': there are none"):
            model.embed([])
        with pytest.raises(InvalidParameterError, match=r"Invalid 'texts\[0\]': it has no tokens"):
            model.embed([[]])
        with pytest.raises(InvalidParameterError, match="token id 128 is not between 0 and 127"):
            model.embed([128])
        with pytest.raises(InvalidParameterError, match="129 is not between 1 and the model's 128"):
            model.embed([1], dimensions=129)
        with pytest.raises(InvalidParameterError, match="generates no text: it only reads"):
            next(model.generate([1]))
        with pytest.raises(InvalidParameterError, match="cannot rerank"):
            model.rerank("a", ["b"])


@pytest.mark.parametrize(("name", "pooling"), [("bert", None), ("qwen3-rerank", None), ("qwen3-embed", "mean")])
@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_only_a_text_whose_vector_is_not_finite_fails(
    name: str, pooling: str | None, broken: float, tmp_path: Path
) -> None:
    oracle = oracle_model(name, tmp_path / "whole.gguf")
    oracle.tensors["token_embd.weight"][77] = broken
    with Model(oracle.write(tmp_path / "broken.gguf"), pooling=pooling, n_threads=1) as model:
        with pytest.raises(GenerationError, match=r"Cannot use 'texts\[1\]': the model's result for it is not finite"):
            model.embed([[5, 6], [5, 77], [7]])
        assert np.isfinite(model.embed([[5, 6], [7]])).all()
        good, bad = Embedding(request_of([[5, 6], [7]])), Embedding(request_of([[77]]))
        run(model._packer, good, bad)
        assert (good.error, good.left) == (None, 0)
        assert "'input[0]'" in str(bad.error)


def test_a_model_opened_to_generate_refuses_vectors_that_are_not_finite(tmp_path: Path) -> None:
    oracle = oracle_model("lfm2", tmp_path / "whole.gguf")
    oracle.tensors["token_embd.weight"][77] = np.nan
    with Model(oracle.write(tmp_path / "broken.gguf"), n_threads=1) as model:
        with pytest.raises(GenerationError, match=r"Cannot use 'texts\[1\]'"):
            model.embed([[5, 6], [5, 77], [7]])
        assert np.isfinite(model.embed([[5, 6], [7]])).all()


# ------------------------------------------------------------------------------------------------------- the engine


async def test_an_engine_gives_the_models_bits_to_many_requests_at_once(bert: Path) -> None:
    texts, _ = embedded("bert")
    with Model(bert) as model:
        want = [model.embed(text.tolist()) for text in texts]
    got: dict[int, Any] = {}

    async def one(engine: Engine, i: int) -> None:
        got[i] = await engine.embed(request_of([texts[i], texts[0]]))

    async with Engine.open(bert, EngineConfig(n_threads=2)) as engine:
        async with trio.open_nursery() as nursery:
            for i in range(4):
                nursery.start_soon(one, engine, i)
        free = engine.statistics()
    for i in range(4):
        assert np.array_equal(got[i][0][0], want[i])
        assert np.array_equal(got[i][1][0], want[0])
    assert (free.active, free.waiting) == (0, 0)
    assert free.requests_total == 4
    assert free.prompt_tokens_total == 160 + 4 * 5


async def test_generation_and_embedding_share_the_loop(tmp_path: Path) -> None:
    path = make_oracle("qwen3-embed", tmp_path / "model.gguf")
    texts, expected = embedded("qwen3-embed")
    async with Engine.open(path, EngineConfig(n_threads=2, n_ctx=256)) as engine:
        request = GenerationRequest(prompt_ids=(5, 6, 7))
        async with engine.generate(request) as stream:
            first = await anext(stream)
            rows = await engine.embed(request_of(texts, normalize=False))
            assert first.token_id is not None
            assert (await anext(stream)).finish_reason is None
    assert nmse(np.concatenate(rows), expected["last"]) <= 1e-6


async def test_a_request_that_is_cancelled_frees_what_it_held(bert: Path) -> None:
    async with Engine.open(bert, EngineConfig(n_threads=1)) as engine:
        with trio.move_on_after(0):
            await engine.embed(request_of([[1] * 400] * 500))
        rows = await engine.embed(request_of([[1, 2]]))
        assert rows[0].shape == (1, 128)
        assert engine.statistics().waiting == 0


async def test_refusals_of_an_engine(bert: Path) -> None:
    async with Engine.open(bert, EngineConfig(parallel=1, max_waiting=0, n_threads=1)) as engine:
        with pytest.raises(InvalidParameterError, match="generates no text"):
            async with engine.generate(GenerationRequest(prompt_ids=(1,))):
                pass
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.embed, request_of([[1] * 500] * 50))
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(EngineBusyError):
                await engine.embed(request_of([[1]]))
            nursery.cancel_scope.cancel()
        await engine.drain(0)
        with pytest.raises(EngineClosedError):
            await engine.embed(request_of([[1]]))


async def test_draining_waits_for_vectors_and_ends_what_is_left(bert: Path) -> None:
    gate = threading.Event()
    async with Engine.open(bert, EngineConfig(n_threads=1)) as engine:
        runner = engine._bundle.runner
        engine._packer._step = lambda *a: (gate.wait(5), runner.step(*a))[1]
        errors: list[Exception] = []

        async def ask() -> None:
            try:
                await engine.embed(request_of([[1]]))
            except EngineClosedError as error:
                errors.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            await engine.drain(0)
        gate.set()
        assert [str(e) for e in errors] == ["the engine is shutting down"]
