"""Observes the inputs of a model's matrices while it reads a text: the sums for an importance matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oxillama.errors import GenerationError
from oxillama.quant.chunks import Tokens, evaluate

if TYPE_CHECKING:
    from oxillama.core._core import Runner

Sums = dict[str, npt.NDArray[np.float64]]
Counts = dict[str, npt.NDArray[np.int64]]


def observe(
    runner: Runner, chunks: Sequence[Tokens], progress: Callable[[int], None] | None = None
) -> tuple[Sums, Counts]:
    """Sums of squares [experts, columns] of every matrix's input over all tokens, and how many rows [experts] each saw.
    `progress` gets the number of chunks read. Raises GenerationError for activations that are not finite."""
    runner.observe()
    for i, chunk in enumerate(chunks):
        # Request logits at all positions: the last layers compute only requested positions.
        for _ in evaluate(runner, chunk, np.ones(len(chunk), np.bool_)):
            pass
        if progress is not None:
            progress(i + 1)
    sums, counts = {}, {}
    for name, (squares, seen) in runner.observed().items():
        if not np.isfinite(squares).all():
            raise GenerationError(f"the input of '{name}' was not finite: its importance cannot be measured")
        if seen.any():
            sums[name], counts[name] = squares, seen
    return sums, counts
