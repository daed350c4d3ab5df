"""Training batches: conversations as token ids, with similar lengths within a batch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oxillama.embedded.chat import pieces
from oxillama.embedded.data.conversations import stream
from oxillama.embedded.data.facts import FACTS
from oxillama.embedded.data.turns import offtopic, smalltalk
from oxillama.embedded.learning.swaps import Swaps
from oxillama.embedded.learning.vocabulary import encode

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CHUNK = 2000  # conversations that are sorted by length together
# The first tokens of a fixed answer identify it; the rest is always the same and quickly learnt. So most conversations
# that end with a fixed answer are cut after its first tokens.
CUT_SHARE = 0.85
CUT_TOKENS = 8
FIXED = frozenset((*(fact.answer for fact in FACTS), offtopic.ANSWER, *(answer for _, answer in smalltalk.PAIRS)))
Batch = tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]


def chunk_batches(tokenizer: Tokenizer, seed: int, chunk: int, batch_tokens: int, n_ctx: int) -> list[Batch]:
    """The batches of one chunk, in the order of training, from conversations of at most `n_ctx` tokens.

    A batch is ids [conversations, tokens + 1] and flags [conversations, tokens]. The flags say of each id but the first
    whether the model learns to write it. Padding is at the end and is not learnt. batch_tokens: most ids of a batch
    with several conversations.
    """
    rng = random.Random(f"{seed}/{chunk}/order")
    encoded: list[tuple[list[int], list[bool]]] = []
    copied: list[tuple[list[int], list[bool]]] = []
    for messages, functions in stream(seed, chunk, CHUNK):
        ids, learnt = encode(tokenizer, pieces(messages, functions))
        if copies(messages, functions):
            copied.append((ids, learnt))
            continue
        fixed = messages[-1]["content"] in FIXED
        encoded.append(_cut(ids, learnt) if fixed and rng.random() < CUT_SHARE else (ids, learnt))
    swaps = Swaps(tokenizer, [ids for ids, _ in copied])
    encoded += [(swaps.apply(ids, rng), learnt) for ids, learnt in copied]
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


def copies(messages: list[dict[str, Any]], functions: list[dict[str, Any]] | None) -> bool:
    """Whether a conversation's answers are made of what its prompt says, and are not known otherwise."""
    return bool(messages[0].get("copies")) or (functions is not None and messages[-1]["content"] not in FIXED)


def _cut(ids: list[int], learnt: list[bool]) -> tuple[list[int], list[bool]]:
    """The conversation up to the first CUT_TOKENS tokens of its last answer."""
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
    """An endless series of (chunk, number of the batch in the chunk, batch), starting at batch `at` of `chunk`."""
    while True:
        for i, batch in enumerate(chunk_batches(tokenizer, seed, chunk, batch_tokens, n_ctx)):
            if i >= at:
                yield chunk, i, batch
        chunk, at = chunk + 1, 0
