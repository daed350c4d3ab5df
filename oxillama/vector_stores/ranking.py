"""Joins rankings of passages into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oxillama.vector_stores.index import Ranked

SMOOTHING = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009)."""

DEPTH = 100
"""Passages of each ranking that are looked at, at least."""


def fused(rankings: Sequence[Sequence[Ranked]]) -> list[tuple[int, float]]:
    """(row, score) of every passage that is in a ranking, best first.

    Reciprocal rank fusion, in which a place counts as much as the passage is relevant there. So a score is 0 to 1: 1
    for what is first and wholly relevant everywhere, and little for the best of what is hardly relevant.
    """
    present = [ranking for ranking in rankings if ranking]
    scores: dict[int, float] = {}
    for ranking in present:
        for place, one in enumerate(ranking):
            share = (SMOOTHING + 1) / (SMOOTHING + 1 + place) / len(present)
            scores[one.row] = scores.get(one.row, 0.0) + share * one.relevance
    return sorted(scores.items(), key=lambda item: -item[1])
