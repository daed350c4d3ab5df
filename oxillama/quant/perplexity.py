"""Perplexity of a model on a text.

The text is cut into chunks. Only the second half of each counts, so every counted token has at least half a chunk
before it. llama.cpp measures it the same way, so figures are comparable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import exp, sqrt
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oxillama.errors import GenerationError
from oxillama.quant.chunks import Tokens, evaluate

if TYPE_CHECKING:
    from oxillama.core._core import Runner


@dataclass(frozen=True, slots=True)
class Estimate:
    """The state after some chunks: the sum of -log p over `tokens`, and the sum of its squares."""

    chunks: int = 0
    tokens: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """Nats per token."""
        return self.total / self.tokens

    @property
    def perplexity(self) -> float:
        return exp(self.mean)

    @property
    def standard_error(self) -> float:
        """The perplexity's standard error, from the variance of the tokens' losses; 0 with fewer than two tokens."""
        if self.tokens < 2:
            return 0.0
        variance = max(0.0, self.squares / self.tokens - self.mean**2)
        return sqrt(variance / (self.tokens - 1)) * self.perplexity


def losses(logits: npt.NDArray[np.float32], targets: Tokens) -> npt.NDArray[np.float64]:
    """-log p of each row's target, in float64."""
    out = np.empty(len(targets))
    for i, (row, target) in enumerate(zip(logits, targets, strict=True)):
        top = float(row.max())
        out[i] = top + np.log(np.exp(row.astype(np.float64) - top).sum()) - row[target]
    return out


def measure(runner: Runner, chunks: Iterable[Tokens]) -> Iterator[Estimate]:
    """The estimate after each chunk. Raises GenerationError when logits are not finite."""
    estimate = Estimate()
    for chunk in chunks:
        first = len(chunk) // 2
        wanted = np.zeros(len(chunk), np.bool_)
        wanted[first:-1] = True  # the last one's prediction is not in the chunk
        at = first + 1
        found = []
        for logits in evaluate(runner, chunk, wanted):
            found.append(losses(logits, chunk[at : at + len(logits)]))
            at += len(logits)
        loss = np.concatenate(found)
        if not np.isfinite(loss).all():
            raise GenerationError(f"chunk {estimate.chunks + 1}: the model's logits are not finite")
        estimate = Estimate(
            estimate.chunks + 1,
            estimate.tokens + len(loss),
            estimate.total + float(loss.sum()),
            estimate.squares + float((loss**2).sum()),
        )
        yield estimate
