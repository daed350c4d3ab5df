"""Drills in copying: random tokens, then parts of them again, of which all but the first token can be known.

Conversations teach copying slowly: few of their tokens are copies, and those are of few kinds. A network that copies
one token in seven of random texts copies seven of eight after a hundred steps of drills with hints (`copying.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oxillama.embedded.learning.batches import Batch
from oxillama.embedded.learning.vocabulary import CONTROL, SHOWN

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LEAST, MOST = 8, 48  # tokens of a text
SPAN = 12  # most tokens of a part


def drillable(tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    """All tokens but the special ones."""
    special = {*CONTROL, *SHOWN}
    return np.array(sorted(i for text, i in tokenizer.get_vocab().items() if text not in special), np.int64)


def drill(tokens: npt.NDArray[np.int64], seed: int, step: int, batch_tokens: int) -> Batch:
    """The drill of a step, as a batch of training, of texts of one length drawn from LEAST to MOST."""
    rng = np.random.default_rng((seed, step))
    n = int(rng.integers(LEAST, MOST))
    rows, flags = [], []
    for _ in range(max(1, batch_tokens // (2 * n))):
        text = rng.choice(tokens, n).tolist()
        row, learnt = list(text), [False] * n
        while len(row) < 2 * n:
            length = int(rng.integers(3, SPAN + 1))
            start = int(rng.integers(0, max(1, n - length)))
            part = text[start : start + length]
            row += part
            learnt += [False] + [True] * (len(part) - 1)
        rows.append(row[: 2 * n])
        flags.append(learnt[: 2 * n])
    return np.array(rows, np.int64), np.array(flags, np.bool_)[:, 1:]
