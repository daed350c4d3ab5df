"""/v1/files: the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from oxillama.server.wire.answer import Answer

if TYPE_CHECKING:
    from oxillama.files.records import StoredFile


class FileObject(Answer, kw_only=True):
    """A file. It is processed as soon as it is stored."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"
    status_details: None = None

    @classmethod
    def of(cls, file: StoredFile) -> Self:
        """The answer for a stored file."""
        return cls(
            id=file.id,
            bytes=file.bytes,
            created_at=file.created_at,
            expires_at=file.expires_at,
            filename=file.filename,
            purpose=file.purpose,
        )
