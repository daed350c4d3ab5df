"""Every step of a sampler chain, in any order, gives the distribution that its definition gives in numpy."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from oxillama.core._core import Choice, Chooser, ThreadPool, available_isas, isa
from oxillama.errors import InvalidParameterError
from tests.sample.reference import assert_drawn_from, dry_penalties, probabilities, sampler

VOCAB = 200
LARGE = 2003
HISTORY = [5, 6, 7, 8, 9, 5, 6, 7, 30, 5, 6, 7]
BREAKERS = [False] * 8 + [True] + [False] * 3
BANNED = (2, 150)
LLAMA_CPP = ("penalties", "dry", "top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature")


def logits(n: int = VOCAB, seed: int = 0, spread: float = 2.0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(n) * spread).astype(np.float32)


CHAINS: dict[str, dict[str, Any]] = {
    "typical": {"typical_p": 0.6},
    "little typical": {"typical_p": 0.05},
    "typical, hot": {"typical_p": 0.9, "temperature": 1.7},
    "typical after top_k": {"typical_p": 0.5, "top_k": 30},
    "top_a": {"top_a": 0.3},
    "top_a of 1": {"top_a": 1.0},
    "top_n_sigma": {"top_n_sigma": 1.0},
    "top_n_sigma, hot": {"top_n_sigma": 1.5, "temperature": 3.0},
    "epsilon": {"epsilon_cutoff": 0.01},
    "epsilon of 1": {"epsilon_cutoff": 1.0},
    "eta": {"eta_cutoff": 0.02},
    "eta by entropy": {"eta_cutoff": 0.5},
    "xtc": {"xtc_probability": 0.5, "xtc_threshold": 0.03},
    "xtc always": {"xtc_probability": 1.0, "xtc_threshold": 0.02},
    "xtc of one": {"xtc_probability": 1.0, "xtc_threshold": 0.5},
    "xtc off": {"xtc_probability": 1.0, "xtc_threshold": 0.6},
    "xtc after top_k": {"xtc_probability": 0.7, "xtc_threshold": 0.05, "top_k": 9},
    "dynamic temperature": {"dynatemp_range": 0.6, "temperature": 1.0},
    "dynamic temperature with exponent": {"dynatemp_range": 1.5, "temperature": 1.2, "dynatemp_exponent": 3.0},
    "dynamic temperature from 0": {"dynatemp_range": 2.0, "temperature": 0.0, "dynatemp_exponent": 0.5},
    "dry": {"dry_multiplier": 0.8, "dry_allowed_length": 1},
    "dry, long": {"dry_multiplier": 0.8, "dry_allowed_length": 2, "dry_base": 3.0},
    "dry, all": {"dry_multiplier": 0.4, "dry_allowed_length": 0},
    "dry in a window": {"dry_multiplier": 0.8, "dry_allowed_length": 1, "dry_penalty_last_n": 5},
    "minus infinity": {"logit_bias": {3: -np.inf, 9: 4.0}, "top_p": 0.9},
    "no step": {"samplers": (), "temperature": 0.0, "top_k": 1},
    "steps left out": {"samplers": ("top_p",), "top_p": 0.5, "temperature": 9.0, "top_k": 1, "repeat_penalty": 9.0},
    "llama.cpp's order": {
        "samplers": LLAMA_CPP, "temperature": 1.6, "top_n_sigma": 2.0, "top_k": 60, "typical_p": 0.9, "top_p": 0.9,
        "min_p": 0.03, "xtc_probability": 0.4, "xtc_threshold": 0.1, "dry_multiplier": 0.5, "repeat_penalty": 1.2,
    },
    "temperature first": {
        "temperature": 1.6, "top_n_sigma": 2.0, "top_k": 60, "typical_p": 0.9, "top_p": 0.9, "min_p": 0.03,
        "xtc_probability": 0.4, "xtc_threshold": 0.05, "dry_multiplier": 0.5, "repeat_penalty": 1.2,
        "logit_bias": {5: 2.0, 11: -1.0},
    },
    "changes after filters": {
        "samplers": ("top_k", "penalties", "dry", "top_p"), "top_k": 80, "frequency_penalty": 0.5,
        "dry_multiplier": 2.0, "dry_allowed_length": 1, "top_p": 0.8, "logit_bias": {8: 3.0},
    },
    "penalties after top_p": {
        "samplers": ("top_p", "temperature", "penalties", "min_p"), "top_p": 0.9, "presence_penalty": 1.0, "min_p": 0.1,
        "temperature": 1.3,
    },
    "two cuts by weight, then top_k": {
        "samplers": ("min_p", "eta_cutoff", "top_k", "temperature"), "min_p": 0.001, "eta_cutoff": 0.001, "top_k": 12,
        "temperature": 0.7,
    },
    "filters that all are on": {
        "top_k": 150, "typical_p": 0.95, "top_p": 0.97, "min_p": 0.01, "top_a": 0.01, "epsilon_cutoff": 0.001,
        "eta_cutoff": 0.002, "top_n_sigma": 3.0,
    },
}  # fmt: skip


@pytest.mark.parametrize("n", [VOCAB, LARGE])
@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
def test_draws_follow_the_reference_distribution(chain: dict[str, Any], n: int) -> None:
    x = logits(n)
    x[40:60:3] = -np.inf
    expected = probabilities(x, HISTORY, BANNED, BREAKERS, **chain)
    s = sampler(n, seed=11, history=HISTORY, breakers=BREAKERS, **chain)
    draws = np.array([s.sample(x, BANNED) for _ in range(4_000 if n == VOCAB else 1_000)])
    assert_drawn_from(draws, expected)


STEPS: dict[str, Any] = {"typical_p": 0.5, "top_a": 0.5, "top_n_sigma": 1.0, "epsilon_cutoff": 0.05, "eta_cutoff": 0.05}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("spread", [0.0, 0.1, 1.0, 20.0])
def test_a_filter_keeps_exactly_the_reference_set(name: str, spread: float) -> None:
    x = logits(64, 3, spread)
    s = sampler(64, **{name: STEPS[name]})
    drawn = {s.sample(x) for _ in range(2000)}
    allowed = probabilities(x, **{name: STEPS[name]})
    assert drawn <= set(np.flatnonzero(allowed))
    assert set(np.flatnonzero(allowed > 0.01)) <= drawn


@pytest.mark.parametrize("chain", [*CHAINS.values(), {"mirostat": 1}, {"mirostat": 2}])
class TestOddLogits:
    def test_nan_is_never_chosen(self, chain: dict[str, Any]) -> None:
        x = np.full(VOCAB, np.nan, np.float32)
        x[[8, 10]] = 1.0, 0.5
        s = sampler(VOCAB, **chain)
        assert {s.sample(x) for _ in range(50)} <= {8, 10}

    def test_plus_infinity_wins(self, chain: dict[str, Any]) -> None:
        x = logits()
        x[77] = np.inf
        s = sampler(VOCAB, **chain)
        assert {s.sample(x) for _ in range(50)} == {77}

    def test_one_token_that_is_left_is_taken(self, chain: dict[str, Any]) -> None:
        s = sampler(VOCAB, history=HISTORY, breakers=BREAKERS, **chain)
        assert {s.sample(logits(), [i for i in range(VOCAB) if i != 7]) for _ in range(50)} == {7}


def test_temperature_0_takes_the_best_of_what_is_left_wherever_it_stands() -> None:
    x = logits()
    for order in (LLAMA_CPP, ("temperature", "top_k"), ("xtc", "temperature", "penalties")):
        assert sampler(VOCAB, samplers=order, temperature=0.0, top_k=3).sample(x) == int(x.argmax())
    second = int(np.argsort(x)[-2])
    dropping: dict[str, Any] = {"xtc_probability": 1.0, "xtc_threshold": float(probabilities(x)[second]) * 0.999}
    assert sampler(VOCAB, samplers=("xtc", "temperature"), temperature=0.0, **dropping).sample(x) == second


# --- DRY


@pytest.mark.parametrize("window", [-1, 2, 7, 40])
def test_dry_finds_what_a_plain_search_finds(window: int) -> None:
    """A few tokens repeat in all ways; after every token the penalties are compared."""
    rng = np.random.default_rng(window + 1)
    how: dict[str, Any] = {"dry_multiplier": 1.0, "dry_base": 1.5, "dry_penalty_last_n": window}
    s, history, breaks = sampler(4, temperature=0.0, **how), list[int](), list[bool]()
    for _ in range(250):
        lost = dry_penalties(history, breaks, multiplier=1.0, base=1.5, allowed=2, window=window)
        x = np.array([0.0, 0.1, 0.2, 0.3])
        for token, penalty in lost.items():
            x[token] -= penalty
        assert s.sample(np.array([0.0, 0.1, 0.2, 0.3], np.float32)) == int(x.argmax()), history
        history.append(int(rng.integers(0, 4)))
        breaks.append(bool(rng.random() < 0.1))
        s.accept(history[-1], breaks[-1])


def test_a_long_repetition_excludes_a_token_and_no_more() -> None:
    s = sampler(8, history=[1, 2, 3] * 400, dry_multiplier=1.0, dry_base=2.0)
    assert 1 not in {s.sample(np.array([0, 9, 0, 0, 0, 0, 0, 0], np.float32)) for _ in range(200)}


# --- Mirostat


def surprises(x: np.ndarray) -> np.ndarray:
    return np.asarray(-np.log2(probabilities(x)))


def mirostat_set(x: np.ndarray, version: int, mu: float, surprise: np.ndarray) -> np.ndarray:
    """The tokens that are left, by the paper's equations 2 and 30 (version 1) or by their surprise (version 2)."""
    if version == 2:
        kept = surprise <= mu
        kept[x.argmax()] = True
        return np.flatnonzero(kept)
    best = np.sort(x.astype(np.float64))[::-1][:100]
    t = np.log(np.arange(2, 101) / np.arange(1, 100))
    s = float((t * (best[:-1] - best[1:])).sum() / (t * t).sum())
    k = ((s - 1) * 2**mu / (1 - len(x) ** -(s - 1.0))) ** (1 / s)
    return np.argsort(-x, kind="stable")[: max(1, int(k))]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("tau", [0.5, 1.5, 2.5, 4.0])
def test_mirostat_draws_from_the_papers_set(version: int, tau: float) -> None:
    x = logits(LARGE, 4, 3.0)
    kept = mirostat_set(x, version, 2 * tau, surprises(x))
    expected = np.zeros(LARGE)
    expected[kept] = probabilities(x)[kept] / probabilities(x)[kept].sum()
    s = sampler(LARGE, seed=3, mirostat=version, mirostat_tau=tau, mirostat_eta=0.0)
    assert_drawn_from(np.array([s.sample(x) for _ in range(2000)]), expected)


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_follows_the_surprise(version: int) -> None:
    """The bound moves after every token by the rate times the error, so that the mean surprise becomes tau."""
    rows = [logits(LARGE, seed, 2.5) for seed in range(5)]
    surprise = [surprises(x) for x in rows]
    tau, eta, mu, seen = 5.0, 0.1, 10.0, []
    s = sampler(LARGE, seed=5, mirostat=version, mirostat_tau=tau, mirostat_eta=eta, top_k=1, xtc_probability=1.0)
    for i in range(600):
        x = rows[i % 5]
        token = s.sample(x)
        assert token in mirostat_set(x, version, mu + 1e-3, surprise[i % 5])
        seen.append(surprise[i % 5][token])
        mu -= eta * (seen[-1] - tau)
    assert np.mean(seen) == pytest.approx(tau, abs=0.15)


# --- every isa, every company

ALL = [*CHAINS.values(), {"mirostat": 1, "mirostat_tau": 3.0}, {"mirostat": 2, "mirostat_tau": 3.0}]


def tokens() -> list[list[int]]:
    """Draws of all chains, at an odd size, each accepted."""
    found: list[list[int]] = []
    for chain in ALL:
        s = sampler(LARGE, seed=2, history=HISTORY, breakers=BREAKERS, **chain)
        found.append([])
        for i in range(20):
            found[-1].append(s.sample(logits(LARGE, i % 3), BANNED))
            s.accept(found[-1][-1], i % 7 == 0)
    return found


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_tokens_depend_on_neither_threads_nor_company(n_threads: int) -> None:
    pool, chooser = ThreadPool(n_threads), Chooser(LARGE, n_threads)
    samplers = [sampler(LARGE, seed=2, history=HISTORY, breakers=BREAKERS, **chain).made for chain in ALL]
    found: list[list[int]] = [[] for _ in ALL]
    for i in range(20):
        choices = [Choice(one, banned=BANNED) for one in samplers]
        chooser.choose(pool, np.tile(logits(LARGE, i % 3), (len(ALL), 1)), choices)
        for one, choice, drawn in zip(samplers, choices, found, strict=True):
            drawn.append(choice.result()[0])
            one.accept(drawn[-1], i % 7 == 0)
    assert found == tokens()


def test_a_seed_repeats_and_another_one_does_not() -> None:
    assert tokens() == tokens()
    runs = [[sampler(VOCAB, seed, typical_p=0.9).sample(logits()) for _ in range(3)] for seed in range(6)]
    assert len({run[0] for run in runs}) > 1


@pytest.mark.parametrize("name", [name for name in available_isas() if name != isa()])
def test_every_isa_gives_the_same_tokens(name: str) -> None:
    program = "from tests.sample.test_chain import tokens; print(tokens())"
    environment = os.environ | {"OXILLAMA_ISA": name}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == f"{tokens()}\n"


# --- refusals


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"samplers": ("top_q",)}, "there is no 'top_q'"),
        ({"samplers": ("top_k", "top_k")}, "there twice"),
        ({"samplers": ("top_k",) * 13}, "13 steps of 12"),
        ({"typical_p": float("nan")}, "not a number"),
        ({"dry_multiplier": float("inf")}, "infinite"),
        ({"dry_base": 0.5}, "negative, infinite"),
        ({"mirostat": 3}, "negative, infinite"),
        ({"logit_bias": {3: float("inf")}}, "not below infinity"),
        ({"logit_bias": {3: float("nan")}}, "not below infinity"),
    ],
)
def test_a_wrong_parameter_is_refused(params: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidParameterError, match=fault):
        sampler(VOCAB, **params)
