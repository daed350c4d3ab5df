"""POST /v1/embeddings: the answer."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Literal

from oxillama.server.wire.answer import Answer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class ReadUsage(Answer, kw_only=True):
    prompt_tokens: int
    total_tokens: int


class EmbeddingObject(Answer, kw_only=True):
    """embedding: the vector, or the base64 text of its little-endian float32 values."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingsAnswer(Answer, kw_only=True):
    object: Literal["list"] = "list"
    data: list[EmbeddingObject]
    model: str
    usage: ReadUsage


def written(row: npt.NDArray[np.float32], encoding: str) -> list[float] | str:
    """A vector as it is sent; encoding: "float" or "base64"."""
    if encoding == "base64":
        return base64.b64encode(row.astype("<f4").tobytes()).decode()
    values: list[float] = row.tolist()
    return values
