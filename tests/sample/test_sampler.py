"""The sampler chain draws from numpy's distribution, is defined for every float, and is repeatable."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from oxillama.errors import GenerationError, InvalidParameterError
from tests.sample.reference import assert_drawn_from, changed_logits, probabilities, sampler

VOCAB = 200
HISTORY = [3, 7, 7, 7, 11, 3, 50, 51]


def logits(seed: int = 0, n: int = VOCAB, spread: float = 3.0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(n) * spread).astype(np.float32)


CHAINS: dict[str, dict[str, Any]] = {
    "temperature alone": {},
    "hot": {"temperature": 2.5},
    "cold": {"temperature": 0.3},
    "top_k": {"top_k": 7},
    "top_k beyond the vocabulary": {"top_k": VOCAB + 1},
    "top_p": {"top_p": 0.8},
    "tiny top_p": {"top_p": 0.01},
    "min_p": {"min_p": 0.1},
    "top_p and min_p": {"top_p": 0.95, "min_p": 0.02},
    "top_k and top_p": {"top_k": 20, "top_p": 0.7},
    "all filters": {"temperature": 1.4, "top_k": 30, "top_p": 0.9, "min_p": 0.05},
    "repeat": {"repeat_penalty": 1.5},
    "repeat in a window": {"repeat_penalty": 1.5, "repeat_last_n": 3},
    "repeat over all": {"repeat_penalty": 1.5, "repeat_last_n": -1},
    "repeat over none": {"repeat_penalty": 1.5, "repeat_last_n": 0},
    "frequency": {"frequency_penalty": 0.7},
    "presence": {"presence_penalty": 1.2},
    "negative penalties": {"frequency_penalty": -0.5, "presence_penalty": -0.5},
    "bias": {"logit_bias": {0: 4.0, 9: -100.0}},
    "everything": {
        "temperature": 1.2, "top_k": 40, "top_p": 0.9, "min_p": 0.01, "repeat_penalty": 1.3, "repeat_last_n": 5,
        "frequency_penalty": 0.3, "presence_penalty": 0.2, "logit_bias": {7: 3.0, 100: 2.0},
    },
}  # fmt: skip


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
def test_draws_follow_the_reference_distribution(chain: dict[str, Any]) -> None:
    x, banned = logits(), (2, 150)
    s = sampler(VOCAB, seed=7, history=HISTORY, **chain)
    draws = np.array([s.sample(x, banned) for _ in range(20_000)])
    assert_drawn_from(draws, probabilities(x, HISTORY, banned, **chain))


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
def test_greedy_takes_the_best_after_penalties_bias_and_bans(chain: dict[str, Any]) -> None:
    chain = {**chain, "temperature": 0.0}
    for seed in range(20):
        x, banned = logits(seed), (int(logits(seed).argmax()),)
        assert sampler(VOCAB, history=HISTORY, **chain).sample(x, banned) == int(
            np.argmax(changed_logits(x, HISTORY, banned, **chain))
        )


@pytest.mark.parametrize("top_p", [0.0, 1e-6, 0.3, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("spread", [0.0, 0.01, 1.0, 30.0])
def test_top_p_keeps_exactly_the_reference_set(top_p: float, spread: float) -> None:
    x = logits(3, 64, spread)
    s = sampler(64, top_p=top_p, temperature=1.0)
    drawn = {s.sample(x) for _ in range(4000)}
    allowed = probabilities(x, top_p=top_p)
    assert drawn <= set(np.flatnonzero(allowed))
    assert set(np.flatnonzero(allowed > 0.01)) <= drawn


def test_equal_logits_are_kept_by_lower_id() -> None:
    x = np.zeros(100, np.float32)
    assert sampler(100, temperature=0.0).sample(x) == 0
    for chain in ({"top_k": 10}, {"top_p": 0.0999}):
        s = sampler(100, **chain)
        assert {s.sample(x) for _ in range(2000)} == set(range(10))


def test_a_large_vocabulary_draws_from_the_reference_too() -> None:
    x = logits(5, 10_000)
    for chain in ({"top_p": 0.9}, {"top_k": 40}, {"min_p": 0.2}, {"top_k": 3000, "top_p": 0.5}):
        s = sampler(10_000, seed=3, **chain)
        assert_drawn_from(np.array([s.sample(x) for _ in range(800)]), probabilities(x, **chain))


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others() -> None:
    x = logits()
    runs = [[s.sample(x) for _ in range(50)] for s in (sampler(VOCAB, 5), sampler(VOCAB, 5), sampler(VOCAB, 6))]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ({}, [8, 38, 68, 92, 98, 79, 73, 87, 78, 60, 68, 30]),
        ({"top_k": 12, "temperature": 0.7}, [30, 19, 8, 27, 57, 38, 38, 98, 38, 79, 8, 90]),
        ({"top_p": 0.9, "min_p": 0.05}, [8, 38, 68, 92, 98, 79, 73, 87, 79, 60, 68, 30]),
    ],
    ids=["plain", "top_k", "top_p"],
)
def test_draws_are_the_same_on_every_platform(chain: dict[str, Any], expected: list[int]) -> None:
    x = np.array([(i * 37 % 101) / 16 for i in range(101)], np.float32)
    s = sampler(101, seed=42, **chain)
    assert [s.sample(x) for _ in range(12)] == expected


def test_negative_and_huge_seeds_are_seeds() -> None:
    x = logits()
    assert [sampler(VOCAB, -1).sample(x)] == [sampler(VOCAB, 2**64 - 1).sample(x)]


@pytest.mark.parametrize("chain", [{"temperature": 0.0}, {}, {"top_k": 5}, {"top_p": 0.5}, {"min_p": 0.3}])
class TestOddLogits:
    def test_nan_is_never_chosen(self, chain: dict[str, Any]) -> None:
        x = np.full(VOCAB, np.nan, np.float32)
        x[[8, 9]] = 1.0, 0.5
        s = sampler(VOCAB, **chain)
        assert {s.sample(x) for _ in range(50)} <= {8, 9}

    def test_plus_infinity_wins(self, chain: dict[str, Any]) -> None:
        x = logits()
        x[77] = np.inf
        s = sampler(VOCAB, **chain)
        assert {s.sample(x) for _ in range(50)} == {77}

    @pytest.mark.parametrize("value", [np.nan, -np.inf])
    def test_nothing_left_is_an_error(self, chain: dict[str, Any], value: float) -> None:
        with pytest.raises(GenerationError, match="no token is left"):
            sampler(VOCAB, **chain).sample(np.full(VOCAB, value, np.float32))

    def test_everything_banned_is_an_error(self, chain: dict[str, Any]) -> None:
        with pytest.raises(GenerationError, match="banned"):
            sampler(VOCAB, **chain).sample(logits(), range(VOCAB))

    def test_extreme_values_do_no_harm(self, chain: dict[str, Any]) -> None:
        x = np.tile(np.array([3.4e38, -3.4e38, 1e-45, 0.0], np.float32), VOCAB // 4)
        s = sampler(VOCAB, **{**chain, "repeat_penalty": 100.0}, history=[1, 2, 3])
        assert {s.sample(x) % 4 for _ in range(50)} == {0}


def test_a_tiny_temperature_is_greedy() -> None:
    for temperature in (1e-3, 1e-30, 1e-44):
        assert sampler(VOCAB, temperature=temperature).sample(logits()) == int(logits().argmax())


@pytest.mark.parametrize("token", [-1, VOCAB])
def test_ids_out_of_range_are_refused(token: int) -> None:
    with pytest.raises(InvalidParameterError, match=str(token)):
        sampler(VOCAB).accept(token)
    with pytest.raises(InvalidParameterError, match=str(token)):
        sampler(VOCAB).sample(logits(), [token])
    with pytest.raises(InvalidParameterError, match=str(token)):
        sampler(VOCAB, logit_bias={token: 1.0})


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="vocabulary"):
        sampler(VOCAB).sample(logits(n=VOCAB - 1))


def test_the_history_slides() -> None:
    """After any number of tokens, the penalties see only the window."""
    rng, x = np.random.default_rng(1), logits(2, 16, 1.0)
    history = [int(t) for t in rng.integers(0, 16, 300)]
    params: dict[str, Any] = {"temperature": 0.0, "frequency_penalty": 0.4, "repeat_last_n": 9}
    s = sampler(16, **params)
    for n, token in enumerate(history, 1):
        s.accept(token)
        assert s.sample(x) == int(np.argmax(changed_logits(x, history[:n], **params)))


PATHS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "top_k": {"temperature": 1.0, "top_k": 5},
    "all": {"temperature": 1.0},
    "top_p": {"temperature": 1.0, "top_p": 0.9},
    "min_p": {"temperature": 1.0, "min_p": 0.1},
}
LARGEST = float(np.finfo(np.float32).max)
# Each makes NaN of the logit of token 0, or would.
PENALTIES: dict[str, tuple[float, dict[str, Any]]] = {
    "frequency on minus infinity": (-np.inf, {"frequency_penalty": -LARGEST}),
    "frequency on infinity": (np.inf, {"frequency_penalty": LARGEST}),
    "presence and frequency": (-np.inf, {"frequency_penalty": -LARGEST, "presence_penalty": -LARGEST}),
    "repetition that underflows": (np.inf, {"repeat_penalty": 1e-44, "frequency_penalty": LARGEST}),
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
@pytest.mark.parametrize(("logit", "penalty"), PENALTIES.values(), ids=PENALTIES.keys())
def test_a_penalty_that_makes_a_logit_nan_excludes_the_token(
    path: dict[str, Any], logit: float, penalty: dict[str, Any]
) -> None:
    x = np.full(64, -1e9, np.float32)
    x[0], x[9] = logit, 5.0
    s = sampler(64, seed=1, history=[0, 0, 0], **{**path, **penalty})
    assert {s.sample(x) for _ in range(20)} == {9}


@pytest.mark.parametrize("field", ["repeat_penalty", "frequency_penalty", "presence_penalty"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e39])
def test_a_penalty_must_be_a_finite_float32(field: str, value: Any) -> None:
    with pytest.raises(InvalidParameterError, match="negative, infinite or not a number"):
        sampler(64, seed=1, history=[], **{field: value})


class Liar(list[int]):
    """A list that yields more or fewer items than its length."""

    def __init__(self, items: list[int], length: int) -> None:
        super().__init__(items)
        self.length = length

    def __len__(self) -> int:
        return self.length


@pytest.mark.parametrize("length", [0, 1, 100_000])
def test_all_listed_tokens_are_banned_whatever_length_the_list_reports(length: int) -> None:
    x = np.arange(64, dtype=np.float32)
    s = sampler(64, seed=1, history=[], temperature=0.0)
    for _ in range(50):
        assert s.sample(x, Liar(list(range(1, 64)) * 200, length)) == 0


def test_two_threads_do_not_share_a_sampler_at_the_same_time() -> None:
    n = 4_000_000
    x, s = np.zeros(n, np.float32), sampler(n, seed=1, history=[], top_p=0.9)
    with ThreadPoolExecutor(1) as threads:
        draw = threads.submit(s.sample, x)
        refused: list[str] = []
        while not (draw.done() or refused):
            try:
                s.accept(1)
            except InvalidParameterError as error:
                refused.append(str(error))
        assert refused == ["another thread is using this sampler: one at a time"]
        assert 0 <= draw.result() < n
