"""Vector stores, their files and batches of files, as they are stored."""

from __future__ import annotations

from typing import Literal

import msgspec

from oxillama.storage.record import Record
from oxillama.vector_stores.filters import AttributeValue

FileStatus = Literal["in_progress", "completed", "cancelled", "failed"]
StoreStatus = Literal["in_progress", "completed", "expired"]
BatchStatus = Literal["in_progress", "completed", "cancelled", "failed"]

DAY_S = 86_400


class Chunking(msgspec.Struct, frozen=True):
    """How a file is cut: tokens of a passage at most, and tokens that it shares with the one before it."""

    size: int = 800
    overlap: int = 400


class FileError(msgspec.Struct, frozen=True):
    """Why a file failed; code: `server_error`, `unsupported_file` or `invalid_file`."""

    code: str
    message: str


class FileCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many files have each status."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    total: int = 0


class VectorStore(Record, frozen=True, kw_only=True):
    """A set of files that is searched together. expires_after_days: of no use; None: it stays."""

    name: str | None = None
    description: str | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    last_active_at: int = 0
    expires_after_days: int | None = None

    @property
    def expires_at(self) -> int | None:
        """Unix seconds."""
        return None if self.expires_after_days is None else self.last_active_at + self.expires_after_days * DAY_S


class VectorStoreFile(Record, frozen=True, kw_only=True):
    """A file in a vector store; its id is the file's. usage_bytes: of its text and vectors in the index.

    batch_id: the batch that added it. addition: differs each time it is added.
    """

    vector_store_id: str = ""
    status: FileStatus = "in_progress"
    last_error: FileError | None = None
    chunking: Chunking = Chunking()
    attributes: dict[str, AttributeValue] = msgspec.field(default_factory=dict)
    usage_bytes: int = 0
    batch_id: str | None = None
    addition: str = ""


class FileBatch(Record, frozen=True, kw_only=True):
    """Files that were added together."""

    vector_store_id: str = ""
    file_ids: list[str]
    cancelled: bool = False
