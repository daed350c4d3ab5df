"""Where a token could be copied from: hints for attention at the beginning of training.

A network learns late to find an earlier place that went like the present one and to go on as it went there (induction
heads, arXiv:2209.11895). One head of an early block is told to look at the token before, and one of a later block at
the place to copy from, which saves most of that time. The hints fade away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oxillama.embedded.learning.vocabulary import SPACE

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PREVIOUS_BLOCK, COPYING_BLOCK = 1, 4


def same_words(tokenizer: Tokenizer, n_vocab: int) -> npt.NDArray[np.int64]:
    """For each token the one that it counts as: a word with a space before it is the word."""
    vocabulary = tokenizer.get_vocab()
    same = np.arange(n_vocab)
    for text, i in vocabulary.items():
        if text.startswith(SPACE):
            same[i] = vocabulary.get(text[1:], i)
    return same


def sources(ids: npt.NDArray[np.int64], learnt: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """For each token but the last, where in the text up to it stands what comes next [tokens - 1]; 0 is nowhere.

    That place and its next token must equal the present one and its next, and of several the one counts before which
    the most tokens are the same, then the latest. ids: as `same_words` maps them. learnt: where it is asked for
    [tokens - 1].
    """
    n = len(ids)
    found = np.zeros(n - 1, np.int64)
    length = np.zeros(n, np.int64)  # how many tokens up to j are those up to i
    equal = ids[:, None] == ids[None, :]
    for i in range(int(learnt.nonzero()[0].max(initial=-1)) + 1):
        length[1:] = length[:-1] + 1
        length[0] = 1
        length *= equal[i]
        if learnt[i] and i:
            candidates = np.flatnonzero((length[:i] > 0) & (ids[1 : i + 1] == ids[i + 1]))
            if len(candidates):
                best = candidates[::-1][np.argmax(length[candidates[::-1]])]
                found[i] = best + 1
    return found
