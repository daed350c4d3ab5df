"""/v1/uploads: the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from oxillama.files.records import UploadStatus
from oxillama.server.apis.files.answer import FileObject
from oxillama.server.wire.answer import Answer, RecordAnswer

if TYPE_CHECKING:
    from oxillama.files.records import StoredFile, Upload


class UploadObject(Answer, kw_only=True):
    """A file that arrives in parts. file: what it became, once it is completed."""

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: UploadStatus
    expires_at: int
    file: FileObject | None

    @classmethod
    def of(cls, upload: Upload, file: StoredFile | None = None) -> Self:
        """The answer for a stored upload."""
        return cls(
            id=upload.id,
            bytes=upload.bytes,
            created_at=upload.created_at,
            filename=upload.filename,
            purpose=upload.purpose,
            status=upload.status,
            expires_at=upload.expires_at,
            file=None if file is None else FileObject.of(file),
        )


class UploadPartObject(RecordAnswer, kw_only=True):
    """A part of an upload."""

    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str
