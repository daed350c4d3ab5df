"""Vectors of passages and queries from the engine, if its model gives any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import trio

from oxillama.engine.api.embedding import EmbeddingRequest
from oxillama.engine.requests.embedding import fitted, vector_ids, vector_prompt
from oxillama.errors import EngineBusyError
from oxillama.vector_stores.index import Vectors

if TYPE_CHECKING:
    import numpy.typing as npt

    from oxillama.concurrency import Offload
    from oxillama.engine.api.protocol import EngineLike

_AT_ONCE = 8
"""Texts of one request, so that other requests get their turn between them."""


def embeds(engine: EngineLike) -> bool:
    """Whether the engine's model gives one vector for each text."""
    return engine.embedder.pooling in ("mean", "cls", "last")


def model_of(engine: EngineLike) -> str:
    """What tells vectors of different models apart."""
    return f"{engine.model_name} {engine.embedder.pooling} {engine.embedder.width}"


async def query_vector(engine: EngineLike, query: str) -> npt.NDArray[np.float32] | None:
    """The vector [width] of a query, of length 1; a long one is cut. None if it has no tokens."""
    ids = fitted(engine.tokenizer, await vector_prompt(engine, query), engine.embedder.max_tokens)
    return (await _embedded(engine, [ids]))[0] if ids else None


async def passage_vectors(engine: EngineLike, texts: Sequence[str], in_thread: Offload) -> Vectors:
    """The vectors of passages. One that is too long for the model has several, of its parts."""
    chunks: list[int] = []
    rows: list[npt.NDArray[np.float16]] = []
    for at in range(0, len(texts), _AT_ONCE):  # the token ids of a large file would fill the memory
        windows = await in_thread(_windows, engine, texts[at : at + _AT_ONCE])
        chunks += [at + chunk for chunk, _ in windows]
        for first in range(0, len(windows), _AT_ONCE):
            found = await _embedded(engine, [ids for _, ids in windows[first : first + _AT_ONCE]])
            rows += [row.astype(np.float16) for row in found]
    data = np.stack(rows) if rows else np.empty((0, engine.embedder.width), np.float16)
    return Vectors(model_of(engine), np.array(chunks, np.int32), data)


async def _embedded(engine: EngineLike, texts: Sequence[tuple[int, ...]]) -> list[npt.NDArray[np.float32]]:
    params = tuple(f"input[{at}]" for at in range(len(texts)))
    request = EmbeddingRequest(texts=tuple(texts), params=params)
    while True:
        try:
            return [row[0] for row in await engine.embed(request)]
        except EngineBusyError as error:
            await trio.sleep(error.retry_after)


def _windows(engine: EngineLike, texts: Sequence[str]) -> list[tuple[int, tuple[int, ...]]]:
    """(passage, token ids) of each part that the model can take."""
    return [(at, ids) for at, text in enumerate(texts) for ids in _fitting(engine, text)]


def _fitting(engine: EngineLike, text: str) -> list[tuple[int, ...]]:
    ids = vector_ids(engine.tokenizer, text)
    if not ids:
        return []
    if len(ids) <= engine.embedder.max_tokens:
        return [ids]
    middle = len(text) // 2
    at = text.rfind(" ", middle // 2, middle)
    at = middle if at < 0 else at
    if at == 0:
        return [fitted(engine.tokenizer, ids, engine.embedder.max_tokens)]
    return _fitting(engine, text[:at]) + _fitting(engine, text[at:])
