"""/v1/vector_stores: the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from oxillama.server.apis.vector_stores.request import VectorStoreExpiration
from oxillama.server.wire.answer import Answer
from oxillama.vector_stores.filters import AttributeValue
from oxillama.vector_stores.records import FileCounts, StoreStatus

if TYPE_CHECKING:
    from oxillama.vector_stores.passages import Passage
    from oxillama.vector_stores.records import VectorStore
    from oxillama.vector_stores.store import VectorStoreRecords


class VectorStoreObject(Answer, kw_only=True):
    """A set of files that is searched together."""

    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str | None
    description: str | None
    usage_bytes: int
    file_counts: FileCounts
    status: StoreStatus
    expires_after: VectorStoreExpiration | None
    expires_at: int | None
    last_active_at: int
    metadata: dict[str, str]

    @classmethod
    def of(cls, store: VectorStore, records: VectorStoreRecords) -> Self:
        """The answer for a stored vector store; blocking."""
        counts, usage = records.counts(store.id)
        days = store.expires_after_days
        status: StoreStatus = "in_progress" if counts.in_progress else "completed"
        return cls(
            id=store.id,
            created_at=store.created_at,
            name=store.name,
            description=store.description,
            usage_bytes=usage,
            file_counts=counts,
            status="expired" if records.is_expired(store) else status,
            expires_after=None if days is None else VectorStoreExpiration(anchor="last_active_at", days=days),
            expires_at=store.expires_at,
            last_active_at=store.last_active_at,
            metadata=store.metadata,
        )


class PassageText(Answer, kw_only=True):
    type: Literal["text"] = "text"
    text: str


class SearchResult(Answer, kw_only=True):
    """A passage that answers the query. score: 0 to 1."""

    file_id: str
    filename: str
    score: float
    attributes: dict[str, AttributeValue]
    content: list[PassageText]

    @classmethod
    def of(cls, passage: Passage) -> Self:
        """The answer for a passage."""
        return cls(
            file_id=passage.file_id,
            filename=passage.filename,
            score=passage.score,
            attributes=passage.attributes,
            content=[PassageText(text=passage.text)],
        )


class SearchResults(Answer, kw_only=True):
    """All results; there is no other page."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[SearchResult]
    has_more: Literal[False] = False
    next_page: None = None
