"""Files and uploads as they are stored."""

from __future__ import annotations

from typing import Literal

from oxillama.storage.record import Record

UploadStatus = Literal["pending", "completed", "cancelled", "expired"]


class StoredFile(Record, frozen=True, kw_only=True):
    """A file. Its bytes never change. expires_at: Unix seconds; None: never."""

    filename: str
    purpose: str
    bytes: int
    expires_at: int | None = None


class Upload(Record, frozen=True, kw_only=True):
    """A file that arrives in parts. bytes: its size as announced.

    file_id: the file that it has become. file_expires_after: seconds from then. parts, received: how many parts there
    are so far, and their bytes.
    """

    filename: str
    purpose: str
    bytes: int
    mime_type: str
    status: UploadStatus = "pending"
    expires_at: int
    file_id: str | None = None
    file_expires_after: int | None = None
    parts: int = 0
    received: int = 0


class UploadPart(Record, frozen=True, kw_only=True):
    """A part of an upload."""

    upload_id: str = ""
    bytes: int
