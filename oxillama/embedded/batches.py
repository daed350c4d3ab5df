"""Conversations as batches of token ids, of about the same length within a batch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oxillama.embedded.chat import pieces
from oxillama.embedded.data.conversations import stream
from oxillama.embedded.vocabulary import encode

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHUNK = 2000  # conversations that are sorted by length together
# Which answer it is shows in its first tokens; the rest is always the same and soon known. So most conversations end
# there.
CUT_SHARE = 0.6
CUT_TOKENS = 8
Batch = tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]


def chunk_batches(tokenizer: Tokenizer, seed: int, chunk: int, batch_tokens: int, n_ctx: int) -> list[Batch]:
    """The batches of one chunk, in the order of training: ids [conversations, tokens + 1], and for each but the first
    whether it is learnt. Padding stands at the end and is not learnt."""
    rng = random.Random(f"{seed}/{chunk}/order")
    encoded = [encode(tokenizer, pieces(*conversation)) for conversation in stream(seed, chunk, CHUNK)]
    encoded = [_cut(ids, flags) if rng.random() < CUT_SHARE else (ids, flags) for ids, flags in encoded]
    encoded = sorted((item for item in encoded if len(item[0]) <= n_ctx), key=lambda item: len(item[0]))
    found: list[Batch] = []
    rows: list[tuple[list[int], list[bool]]] = []
    for item in [*encoded, None]:
        if rows and (item is None or len(item[0]) * (len(rows) + 1) > batch_tokens):
            found.append(_padded(rows))
            rows = []
        if item is not None:
            rows.append(item)
    rng.shuffle(found)
    return found


def _cut(ids: list[int], learnt: list[bool]) -> tuple[list[int], list[bool]]:
    """The conversation up to the first tokens of its last answer."""
    last = len(learnt) - learnt[::-1].index(True)  # the end of the last answer
    start = last - learnt[:last][::-1].index(False)
    end = min(last, start + CUT_TOKENS)
    return ids[:end], learnt[:end]


def _padded(rows: list[tuple[list[int], list[bool]]]) -> Batch:
    width = max(len(ids) for ids, _ in rows)
    ids = np.zeros((len(rows), width), np.int64)
    learnt = np.zeros((len(rows), width), np.bool_)
    for i, (row, flags) in enumerate(rows):
        ids[i, : len(row)] = row
        learnt[i, : len(row)] = flags
    return ids, learnt[:, 1:]


def all_batches(
    tokenizer: Tokenizer, seed: int, batch_tokens: int, n_ctx: int, chunk: int = 0, at: int = 0
) -> Iterator[tuple[int, int, Batch]]:
    """Batches without end, from batch `at` of a chunk on: (chunk, number of the batch within it, batch)."""
    while True:
        for i, batch in enumerate(chunk_batches(tokenizer, seed, chunk, batch_tokens, n_ctx)):
            if i >= at:
                yield chunk, i, batch
        chunk, at = chunk + 1, 0
