"""/v1/vector_stores/{vector_store}/file_batches: the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from oxillama.server.wire.answer import Answer
from oxillama.vector_stores.records import BatchStatus, FileCounts

if TYPE_CHECKING:
    from oxillama.vector_stores.records import FileBatch
    from oxillama.vector_stores.store import VectorStoreRecords


class FileBatchObject(Answer, kw_only=True):
    """Files that were added together."""

    id: str
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: BatchStatus
    file_counts: FileCounts

    @classmethod
    def of(cls, batch: FileBatch, records: VectorStoreRecords) -> Self:
        """The answer for a stored batch; blocking. It has failed if all of its files have."""
        counts = records.batch_counts(batch)
        status: BatchStatus = "failed" if 0 < counts.failed == counts.total else "completed"
        if batch.cancelled:
            status = "cancelled"
        elif counts.in_progress:
            status = "in_progress"
        return cls(
            id=batch.id,
            created_at=batch.created_at,
            vector_store_id=batch.vector_store_id,
            status=status,
            file_counts=counts,
        )
