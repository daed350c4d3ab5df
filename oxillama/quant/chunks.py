"""Cuts a text into chunks of equal length. A model reads them one after another, each in its own sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oxillama.errors import InvalidParameterError
from oxillama.gguf import GGUFFile
from oxillama.models import LoadedModel, describe_model, load_model
from oxillama.models.describe import read_params
from oxillama.text import Tokenizer

if TYPE_CHECKING:
    from oxillama.core._core import Runner

Tokens = npt.NDArray[np.int32]
N_BATCH = 256  # a step's logits are all kept, and large vocabularies make them large


def read_chunks(tokenizer: Tokenizer, text: str, size: int, most: int | None = None) -> list[Tokens]:
    """Whole chunks of `size` tokens, at most `most`. If the model wants a BOS, it replaces each chunk's
    first token. Raises InvalidParameterError for a text shorter than one chunk."""
    tokens = np.array(tokenizer.encode(text), np.int32)
    n = len(tokens) // size
    if n == 0:
        raise InvalidParameterError(
            f"the text has {len(tokens)} tokens, less than one chunk of {size}: give a longer one, or a smaller --ctx"
        )
    chunks = tokens[: n * size].reshape(n, size)[:most].copy()
    if tokenizer.bos_id is not None and tokenizer.encode("")[:1] == [tokenizer.bos_id]:
        chunks[:, 0] = tokenizer.bos_id
    return list(chunks)


def open_for_chunks(
    path: Path,
    size: int,
    n_threads: int | None,
    progress: Callable[[float], None] | None = None,
    *,
    kv_type: str = "auto",
) -> tuple[LoadedModel, Tokenizer]:
    """A model with room for one chunk, and its tokenizer. Raises as load_model and Tokenizer do, and
    InvalidParameterError for a chunk longer than the context the model was trained with."""
    gguf = GGUFFile(path)
    trained = describe_model(gguf).context_length
    if size > trained:
        raise InvalidParameterError(f"--ctx {size} is more than the {trained} tokens this model was trained with")
    model = load_model(
        gguf,
        n_threads=n_threads,
        n_ctx=size,
        n_batch=min(size, N_BATCH) if read_params(gguf).causal else size,  # else a chunk takes one step
        n_seqs=1,
        kv_type=kv_type,
        progress=progress,
    )
    try:
        return model, Tokenizer.from_gguf(model.gguf)
    except BaseException:
        model.close()
        raise


def evaluate(runner: Runner, chunk: Tokens, wanted: npt.NDArray[np.bool_]) -> Iterator[npt.NDArray[np.float32]]:
    """Logits [n, n_vocab] of the wanted positions, in order, step by step; each array is valid until the next."""
    seq = runner.seq_open()
    try:
        for at in range(0, len(chunk), runner.n_batch):
            piece = slice(at, min(at + runner.n_batch, len(chunk)))
            logits = runner.step(chunk[piece], [seq], [piece.stop - at], wanted[piece])
            if len(logits):
                yield logits
    finally:
        runner.seq_close(seq)
