"""The core's sampler on one row at a time, and the sampler chain in numpy: slow, plain, float64."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from oxillama.core._core import Choice, Chooser, Sampler, sampler_steps

OFF: dict[str, Any] = {
    "samplers": sampler_steps(),
    "temperature": 1.0,
    "dynatemp_range": 0.0,
    "dynatemp_exponent": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "top_a": 0.0,
    "top_n_sigma": 0.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "xtc_probability": 0.0,
    "xtc_threshold": 0.1,
    "repeat_penalty": 1.0,
    "repeat_last_n": 64,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "dry_multiplier": 0.0,
    "dry_base": 1.75,
    "dry_allowed_length": 2,
    "dry_penalty_last_n": -1,
    "mirostat": 0,
    "mirostat_tau": 5.0,
    "mirostat_eta": 0.1,
    "logit_bias": {},
}


@cache
def chooser(n_vocab: int) -> Chooser:
    return Chooser(n_vocab)


def choose(
    logits: np.ndarray,
    sampler: Sampler | None = None,
    *,
    token: int = -1,
    banned: Iterable[int] = (),
    n_top: int | None = None,
) -> tuple[int, float | None, list[tuple[int, float]]]:
    """One choice from one row [n_vocab], on the calling thread."""
    choice = Choice(sampler, token=token, banned=banned, n_top=n_top)
    chooser(len(logits)).choose(None, logits[None], [choice])
    return choice.result()


class Draws:
    """A sampler that draws from one row at a time."""

    def __init__(self, made: Sampler) -> None:
        self.made = made
        self.accept = made.accept

    def sample(self, logits: np.ndarray, banned: Iterable[int] = ()) -> int:
        return choose(logits, self.made, banned=banned)[0]


def sampler(
    n_vocab: int, seed: int = 1, history: Sequence[int] = (), breakers: Sequence[bool] = (), **params: Any
) -> Draws:
    made = Draws(Sampler(n_vocab, seed=seed, **{**OFF, **params}))
    for token, breaks in zip(history, breakers or [False] * len(history), strict=True):
        made.accept(token, breaks)
    return made


def changed_logits(
    logits: np.ndarray, history: Sequence[int] = (), banned: Sequence[int] = (), **params: Any
) -> np.ndarray:
    """After penalties, bias and bans."""
    p = {**OFF, **params}
    x = logits.astype(np.float64)
    x[np.isnan(x)] = -np.inf
    oldest = 0 if p["repeat_last_n"] < 0 else max(0, len(history) - p["repeat_last_n"])
    for token, count in Counter(history[oldest:]).items():
        x[token] = x[token] / p["repeat_penalty"] if x[token] > 0 else x[token] * p["repeat_penalty"]
        x[token] -= count * p["frequency_penalty"] + p["presence_penalty"]
    for token, bias in p["logit_bias"].items():
        x[token] += bias
    x[list(banned)] = -np.inf
    return x


def dry_penalties(
    history: Sequence[int], breaks: Sequence[bool], *, multiplier: float, base: float, allowed: int, window: int
) -> dict[int, float]:
    """What tokens lose by DRY: every earlier place is compared with the end, token by token."""
    start = max(0, len(history) - window) if window >= 0 else 0
    tokens, ends = history[start:], breaks[start:]
    found: dict[int, float] = {}
    n = len(tokens)
    for follower in range(1, n):
        length = 0
        while length < follower and tokens[follower - 1 - length] == tokens[n - 1 - length]:
            if ends[n - 1 - length]:
                break
            length += 1
        if length >= allowed and not ends[follower]:
            token = tokens[follower]
            found[token] = max(found.get(token, 0.0), multiplier * base ** (length - allowed))
    return found


def _softmax(x: np.ndarray) -> np.ndarray:
    weights = np.exp(x - x.max())
    return np.asarray(weights / weights.sum())


def _entropy(p: np.ndarray) -> float:
    return float(-np.sum(p[p > 0] * np.log(p[p > 0])))


def _kept(name: str, x: np.ndarray, p: dict[str, Any]) -> np.ndarray:
    """Which tokens a filter keeps, of logits x in which -inf has been dropped before."""
    probs = _softmax(x)
    order = np.lexsort((np.arange(len(x)), -x))  # best first, ties by lower id
    kept = np.ones(len(x), bool)
    if name == "top_k" and p["top_k"]:
        kept[order[p["top_k"] :]] = False
    elif name == "top_p" and p["top_p"] < 1:
        kept[order[np.searchsorted(np.cumsum(probs[order]), p["top_p"]) + 1 :]] = False
    elif name == "min_p":
        kept = probs >= p["min_p"] * probs.max()
    elif name == "top_a":
        kept = probs >= p["top_a"] * probs.max() ** 2
    elif name == "epsilon_cutoff":
        kept = (probs >= p["epsilon_cutoff"]) | (probs == probs.max())
    elif name == "eta_cutoff" and p["eta_cutoff"]:
        least = min(p["eta_cutoff"], np.sqrt(p["eta_cutoff"]) * np.exp(-_entropy(probs)))
        kept = (probs >= least) | (probs == probs.max())
    elif name == "top_n_sigma" and p["top_n_sigma"]:
        kept = x >= x.max() - p["top_n_sigma"] * x[np.isfinite(x)].std()
    elif name == "typical_p" and p["typical_p"] < 1:
        with np.errstate(divide="ignore"):
            distance = np.abs(-np.log(probs) - _entropy(probs))
        by_distance = np.argsort(distance, kind="stable")
        last = np.searchsorted(np.cumsum(probs[by_distance]), p["typical_p"])
        kept = distance <= distance[by_distance[min(last, len(x) - 1)]] + 1e-9
    return np.asarray(kept & np.isfinite(x))


def _temperature(x: np.ndarray, p: dict[str, Any]) -> float:
    n = int(np.isfinite(x).sum())
    if not p["dynatemp_range"]:
        return float(p["temperature"])
    if n < 2:
        return 1.0
    low, high = max(0.0, p["temperature"] - p["dynatemp_range"]), p["temperature"] + p["dynatemp_range"]
    return float(low + (high - low) * (_entropy(_softmax(x)) / np.log(n)) ** p["dynatemp_exponent"])


def probabilities(
    logits: np.ndarray,
    history: Sequence[int] = (),
    banned: Sequence[int] = (),
    breakers: Sequence[bool] = (),
    **params: Any,
) -> np.ndarray:
    """The distribution that the sampler should draw from: the definitions in csrc/sample/chain/steps.h, one by one."""
    p = {**OFF, **params}
    x = logits.astype(np.float64)
    x[np.isnan(x)] = -np.inf
    return _chain(x, list(p["samplers"]), p, history, breakers or [False] * len(history), tuple(banned), biased=False)


def _chain(
    x: np.ndarray,
    steps: list[str],
    p: dict[str, Any],
    history: Sequence[int],
    breaks: Sequence[bool],
    banned: tuple[int, ...],
    *,
    biased: bool,
) -> np.ndarray:
    if not biased and not (steps and steps[0] in ("penalties", "dry")):
        for token, bias in p["logit_bias"].items():
            x[token] += bias
        x[list(banned)] = -np.inf
        biased = True
    if not steps:
        return _softmax(x)
    name, rest = steps[0], steps[1:]
    if name == "penalties":
        x = changed_logits(x, history, **{**p, "logit_bias": {}})
    elif name == "dry" and p["dry_multiplier"]:
        how = {"multiplier": p["dry_multiplier"], "base": p["dry_base"], "window": p["dry_penalty_last_n"]}
        for token, lost in dry_penalties(history, breaks, allowed=p["dry_allowed_length"], **how).items():
            x[token] -= lost
    elif name == "temperature":
        x = x / _temperature(x, p)
    elif name == "xtc" and p["xtc_probability"] and p["xtc_threshold"] <= 0.5:
        probs = _softmax(x)
        top = np.flatnonzero(probs >= p["xtc_threshold"])
        without = x.copy()
        if len(top) > 1:
            without[np.setdiff1d(top, top[np.lexsort((-top, probs[top]))[0]])] = -np.inf
        both = [_chain(y.copy(), rest, p, history, breaks, banned, biased=biased) for y in (x, without)]
        return np.asarray((1 - p["xtc_probability"]) * both[0] + p["xtc_probability"] * both[1])
    else:
        x = np.where(_kept(name, x, p), x, -np.inf)
    return _chain(x, rest, p, history, breaks, banned, biased=biased)


def assert_drawn_from(draws: np.ndarray, probs: np.ndarray) -> None:
    """Check that no impossible token was drawn, and that chi-square is within six standard deviations of its mean."""
    counts = np.bincount(draws, minlength=len(probs))
    assert not counts[probs == 0].any()
    expected = probs * len(draws)
    common = expected >= 5
    rare, rare_expected = counts[~common].sum(), expected[~common].sum()
    statistic = float(((counts - expected)[common] ** 2 / expected[common]).sum())
    if rare_expected > 0:
        statistic += float((rare - rare_expected) ** 2 / rare_expected)
    dof = max(1, int(common.sum()))
    assert statistic < dof + 6 * np.sqrt(2 * dof), (statistic, dof)
