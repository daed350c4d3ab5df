"""/v1/vector_stores/{vector_store}/files: the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from oxillama.server.apis.vector_stores.answer import PassageText
from oxillama.server.wire.answer import Answer
from oxillama.server.wire.tools import strategy_of
from oxillama.vector_stores.filters import AttributeValue
from oxillama.vector_stores.records import FileError, FileStatus

if TYPE_CHECKING:
    from oxillama.vector_stores.records import VectorStoreFile


class VectorStoreFileObject(Answer, kw_only=True):
    """A file in a vector store."""

    id: str
    object: Literal["vector_store.file"] = "vector_store.file"
    created_at: int
    vector_store_id: str
    usage_bytes: int
    status: FileStatus
    last_error: FileError | None
    chunking_strategy: dict[str, Any]
    attributes: dict[str, AttributeValue]

    @classmethod
    def of(cls, file: VectorStoreFile) -> Self:
        """The answer for a stored file."""
        return cls(
            id=file.id,
            created_at=file.created_at,
            vector_store_id=file.vector_store_id,
            usage_bytes=file.usage_bytes,
            status=file.status,
            last_error=file.last_error,
            chunking_strategy=strategy_of(file.chunking),
            attributes=file.attributes,
        )


class FileContentPage(Answer, kw_only=True):
    """The text that was read from a file; there is no other page."""

    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: list[PassageText]
    has_more: Literal[False] = False
    next_page: None = None
