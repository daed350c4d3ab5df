"""How requests and answers say into which passages a file is cut."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from oxillama.server.wire.errors import bad_request
from oxillama.vector_stores.records import Chunking

LEAST_SIZE, MOST_SIZE = 100, 4096  # tokens


class StaticChunking(msgspec.Struct, kw_only=True):
    """Tokens of a passage at most, and tokens that it shares with the one before it: at most half of them."""

    max_chunk_size_tokens: Annotated[int, msgspec.Meta(ge=LEAST_SIZE, le=MOST_SIZE)]
    chunk_overlap_tokens: Annotated[int, msgspec.Meta(ge=0)]


class AutoStrategy(msgspec.Struct, kw_only=True, tag_field="type", tag="auto"):
    """Passages of 800 tokens that share 400."""


class StaticStrategy(msgspec.Struct, kw_only=True, tag_field="type", tag="static"):
    static: StaticChunking


ChunkingStrategy = AutoStrategy | StaticStrategy


def chunking_of(strategy: ChunkingStrategy | None, param: str = "chunking_strategy") -> Chunking:
    """As it is stored. Raises APIError 400."""
    if not isinstance(strategy, StaticStrategy):
        return Chunking()
    size, overlap = strategy.static.max_chunk_size_tokens, strategy.static.chunk_overlap_tokens
    if overlap > size // 2:
        path = f"{param}.static.chunk_overlap_tokens"
        message = f"Invalid '{path}': it must not exceed half of max_chunk_size_tokens, {size // 2}, but is {overlap}."
        raise bad_request(message, param=path, code="integer_above_max_value")
    return Chunking(size, overlap)


def strategy_of(chunking: Chunking) -> dict[str, Any]:
    """As it is sent."""
    sizes = {"max_chunk_size_tokens": chunking.size, "chunk_overlap_tokens": chunking.overlap}
    return {"type": "static", "static": sizes}
