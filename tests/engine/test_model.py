"""`Model` with a fake runner: the engine's tokens, logits of every position, and no leaks."""

from __future__ import annotations

import gc
from collections.abc import Generator
from typing import Any, cast

import numpy as np
import pytest

from oxillama.engine.api.types import SamplingParams
from oxillama.engine.model import Model
from oxillama.errors import (
    ContextLengthError,
    EngineClosedError,
    GenerationError,
    InvalidParameterError,
    OxillamaError,
)
from tests.engine.harness import Bench, request
from tests.support.fake_engine import EOS, FakeTokenizer
from tests.support.fake_runner import N_EMBD, FakeRunner, bundle, parrot

GREEDY = SamplingParams(temperature=0.0, max_tokens=20)


def model(runner: FakeRunner | None = None, **options: Any) -> Model:
    return Model.of(bundle(runner or FakeRunner(), **options))


def test_generate_gives_the_pieces_of_the_text() -> None:
    ids = [*FakeTokenizer().encode("héllo", False), EOS]
    with model(FakeRunner(next_token=parrot(ids, 3))) as m:
        assert list(m.generate("ab", GREEDY)) == ["h", "é", "l", "l", "o"]
        assert list(m.generate([1, 100, 101], GREEDY)) == ["h", "é", "l", "l", "o"]


def test_its_tokens_are_those_of_the_engines_loop() -> None:
    bench = Bench()
    (g,) = bench.run(request((1, 40, 41), max_tokens=20))
    with model() as m:
        assert [e.token_id for e in m.events([1, 40, 41], GREEDY)] == bench.ids(g)


def test_interleaved_iterators_do_not_affect_each_other() -> None:
    prompts = [[1, 50], [1, 60, 61], [1, 70]]
    with model() as m:
        alone = [[e.token_id for e in m.events(p, GREEDY)] for p in prompts]
        together = zip(*[m.events(p, GREEDY) for p in prompts], strict=True)
        assert [[e.token_id for e in events] for events in zip(*together, strict=True)] == alone


def test_more_iterators_than_slots_take_turns() -> None:
    with model(n_slots=1) as m:
        first, second = m.events([5], GREEDY), m.events([6], GREEDY)
        next(first)
        assert len(list(second)) == 20
        assert len(list(first)) == 19


@pytest.mark.parametrize("how", ["close", "forget"])
def test_an_iterator_left_in_the_middle_leaves_nothing_behind(how: str) -> None:
    runner = FakeRunner()
    with model(runner) as m:
        events = m.events([5], GREEDY)
        next(events)
        assert len(runner.sequences) == 1
        if how == "close":
            cast("Generator[Any]", events).close()
        else:
            del events
            gc.collect()
        assert runner.sequences == {}
        assert len(list(m.events([5], GREEDY))) == 20


def test_an_interrupt_ends_the_running_generations_and_the_model_stays_usable() -> None:
    def say(tokens: Any, n: int) -> int:
        if len(tokens) == 4:
            raise KeyboardInterrupt
        return 50

    runner = FakeRunner(next_token=say)
    with model(runner) as m:
        other = m.events([1] * 10, GREEDY)
        next(other)
        with pytest.raises(KeyboardInterrupt):
            list(m.events([1, 2], GREEDY))
        with pytest.raises(GenerationError, match="interrupted"):
            list(other)
        assert runner.sequences == {}
        assert len(list(m.events([1] * 10, GREEDY))) == 20


def test_a_failing_generation_raises_and_the_next_one_runs() -> None:
    with model(FakeRunner(poison=200)) as m:
        with pytest.raises(GenerationError):
            list(m.events([200], GREEDY))
        assert len(list(m.events([5], GREEDY))) == 20


def test_logits_of_every_position_span_batches() -> None:
    runner = FakeRunner(n_batch=7)
    ids = list(range(3, 43))
    with model(runner) as m:
        rows = m.logits(ids)
    assert rows.shape == (40, 259)
    assert rows.dtype == np.float32
    assert rows.argmax(axis=1).tolist() == [runner.next_token(ids[: i + 1], 259) for i in range(40)]
    assert runner.sequences == {}


def test_logits_do_not_disturb_a_generation() -> None:
    with model() as m:
        alone = [e.token_id for e in m.events([5, 6], GREEDY)]
        events = m.events([5, 6], GREEDY)
        got = [next(events).token_id]
        m.logits([9, 9, 9])
        got += [e.token_id for e in events]
    assert got == alone


def test_embeddings_are_pooled_as_requested() -> None:
    ids = list(range(3, 23))
    states = np.arange(N_EMBD) + np.cumsum(ids)[:, None]
    with model(FakeRunner(n_batch=7)) as m:
        np.testing.assert_allclose(m.embed(ids, pooling="none", normalize=False), states)
        np.testing.assert_allclose(m.embed(ids, pooling="mean", normalize=False), states.mean(axis=0))
        np.testing.assert_allclose(m.embed(ids, pooling="last", normalize=False), states[-1])
        mean = states.mean(axis=0)
        np.testing.assert_allclose(m.embed(ids), mean / np.linalg.norm(mean), rtol=1e-6)
        np.testing.assert_allclose(m.embed([ids, ids], dimensions=2, normalize=False), [mean[:2]] * 2)
        np.testing.assert_allclose(m.embed(ids, pooling="cls", normalize=False), states[0])
        np.testing.assert_allclose(m.embed("ab", pooling="none"), m.embed([1, 100, 101], pooling="none"))
        with pytest.raises(InvalidParameterError, match="pooling"):
            m.embed(ids, pooling=cast("Any", "max"))


@pytest.mark.parametrize(
    ("ids", "error"),
    [
        ([], InvalidParameterError),
        ([259], InvalidParameterError),
        ([-1], InvalidParameterError),
        ([3] * 65, ContextLengthError),
    ],
)
def test_bad_ids_are_refused_everywhere(ids: list[int], error: type[Exception]) -> None:
    with model() as m:
        for call in (m.logits, m.embed, m.events, m.generate):
            with pytest.raises(error):
                call(ids)


def test_numpy_ids_are_ids() -> None:
    ids: Any = np.array([5, 6, 7], np.int64)
    with model() as m:
        assert m.logits(ids).shape == (3, 259)
        assert len(list(m.events(ids, GREEDY))) == 20


def test_text_goes_to_tokens_and_back() -> None:
    with model() as m:
        assert m.tokenize("hé") == [1, 107, 198, 172]
        assert m.tokenize("h", add_special=False) == [107]
        assert m.detokenize(m.tokenize("hé")) == "hé".encode()


def test_a_model_without_vocabulary_works_on_ids() -> None:
    with model(text=False) as m:
        assert m.logits([5]).shape == (1, 259)
        assert len(list(m.events([5], GREEDY))) == 20
        assert list(m.generate([5], GREEDY)) == []
        for call in (m.tokenize, m.generate, m.embed):
            with pytest.raises(OxillamaError, match="no vocabulary"):
                call("text")


def test_a_closed_model_reports_that_it_is_closed() -> None:
    m = model()
    events = m.events([5], GREEDY)
    next(events)
    m.close()
    m.close()
    with pytest.raises(EngineClosedError):
        list(events)
    with pytest.raises(EngineClosedError):
        m.logits([5])
