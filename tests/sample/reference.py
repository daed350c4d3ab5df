"""The core's sampler on one row at a time, and the sampler chain in numpy: slow, plain, float64."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from oxillama.core._core import Choice, Chooser, Sampler

OFF: dict[str, Any] = {
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "repeat_penalty": 1.0,
    "repeat_last_n": 64,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
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


def sampler(n_vocab: int, seed: int = 1, history: Sequence[int] = (), **params: Any) -> Draws:
    made = Draws(Sampler(n_vocab, seed=seed, **{**OFF, **params}))
    for token in history:
        made.accept(token)
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


def probabilities(
    logits: np.ndarray, history: Sequence[int] = (), banned: Sequence[int] = (), **params: Any
) -> np.ndarray:
    """The distribution that the sampler should draw from."""
    p = {**OFF, **params}
    x = changed_logits(logits, history, banned, **params) / p["temperature"]
    order = np.lexsort((np.arange(len(x)), -x))  # best first, ties by lower id
    weights = np.exp(x - x.max())
    keep = order[: p["top_k"]] if p["top_k"] else order
    if p["top_p"] < 1:
        mass = np.cumsum(weights[keep]) / weights[keep].sum()
        keep = keep[: np.searchsorted(mass, p["top_p"]) + 1]
    keep = keep[weights[keep] >= p["min_p"]]
    out = np.zeros(len(x))
    out[keep] = weights[keep] / weights[keep].sum()
    return out


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
