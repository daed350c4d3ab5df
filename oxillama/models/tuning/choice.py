"""Which way of reading weights do measured rates speak for?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CLEAR = 1.03
"""A way replaces another if it is this many times as fast."""
STEADY = 0.8
"""Rounds agree if the median rate is at least this share of the best."""

Rates = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Verdict:
    """reading: the way to use. steady: the rounds agree; otherwise the rates say nothing."""

    reading: str
    steady: bool


def judge(rates: Rates, names: Sequence[str], standing: str) -> Verdict:
    """The fastest way, if it is clearly faster than `standing`, which is the way to use otherwise.

    rates: [rounds, ways] in bytes per second, at least two rounds. names: of the ways.

    A busy machine only ever slows a trial down, so a way's best rate counts. The winner has to be clearly faster in
    both halves of the rounds. The verdict is steady if the winner's median round comes close to its best one, and so
    does that of `standing`: otherwise another program had a part in the rates, and `standing` stays.
    """
    kept = names.index(standing)
    best = rates.max(axis=0)
    winner = int(best.argmax())
    half = len(rates) // 2
    if any(part[:, winner].max() < CLEAR * part[:, kept].max() for part in (rates[:half], rates[half:])):
        winner = kept
    chosen = [kept, winner]
    steady = bool((np.median(rates[:, chosen], axis=0) >= STEADY * best[chosen]).all())
    return Verdict(names[winner] if steady else standing, steady)
