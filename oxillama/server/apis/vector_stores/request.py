"""/v1/vector_stores: the requests."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from oxillama.server.wire.fields import Metadata
from oxillama.server.wire.tools import ChunkingStrategy
from oxillama.vector_stores.filters import Filter

MOST_FILES = 500
MOST_QUERIES = 32

Name = Annotated[str, msgspec.Meta(max_length=256)]
Query = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
FileId = Annotated[str, msgspec.Meta(max_length=256)]


class VectorStoreExpiration(msgspec.Struct, kw_only=True):
    """So many days after its last use."""

    anchor: Literal["last_active_at"]
    days: Annotated[int, msgspec.Meta(ge=1, le=365)]


class CreateVectorStore(msgspec.Struct, kw_only=True):
    """chunking_strategy: of the files in file_ids."""

    name: Name | None = None
    description: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    file_ids: Annotated[list[FileId], msgspec.Meta(max_length=MOST_FILES)] | None = None
    chunking_strategy: ChunkingStrategy | None = None
    expires_after: VectorStoreExpiration | None = None
    metadata: Metadata | None = None


class ModifyVectorStore(msgspec.Struct, kw_only=True):
    """Only the fields that are given change. expires_after: null takes the expiry away."""

    name: Name | None = None
    expires_after: VectorStoreExpiration | msgspec.UnsetType | None = msgspec.UNSET
    metadata: Metadata | None = None


class SearchRanking(msgspec.Struct, kw_only=True):
    """ranker: `none` uses the vectors alone, or the words alone where there are none; others join both rankings."""

    ranker: Literal["none", "auto", "default-2024-11-15", "default_2024_08_21"] | None = None
    score_threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


class SearchVectorStore(msgspec.Struct, kw_only=True):
    """rewrite_query is accepted, and the query is used as it is."""

    query: Query | Annotated[list[Query], msgspec.Meta(min_length=1, max_length=MOST_QUERIES)]
    filters: Filter | None = None
    max_num_results: Annotated[int, msgspec.Meta(ge=1, le=50)] | None = None
    ranking_options: SearchRanking | None = None
    rewrite_query: bool | None = None
