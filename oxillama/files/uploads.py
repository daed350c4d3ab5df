"""Files that arrive in parts: a row for each upload and part, and a part's bytes in `uploads/<id>/parts`."""

from __future__ import annotations

import hashlib
import logging
import posixpath
from collections.abc import Sequence
from functools import partial

import msgspec

from oxillama.errors import (
    InvalidParameterError,
    ObjectNotFoundError,
    StateConflictError,
    StoreDamagedError,
    StoreError,
)
from oxillama.files.records import StoredFile, Upload, UploadPart, UploadStatus
from oxillama.files.store import FileStore
from oxillama.storage.collection import Collection
from oxillama.storage.contents import Contents
from oxillama.storage.database import Database
from oxillama.storage.ids import is_id, new_id
from oxillama.storage.stream import NewFile, read_parts

UPLOAD_LIFETIME_S = 3600
MAX_PARTS = 10_000
FORGOTTEN_AFTER_S = 86_400
"""The record of an upload stays this long after the upload's time, so that a late client learns what became of it."""

_log = logging.getLogger(__name__)


class UploadStore:
    """All uploads. An upload that is over loses its parts, and a day later its record.

    Safe to use from several threads. All methods block and raise what `Durable` raises.
    """

    def __init__(self, directory: str, database: Database, files: FileStore) -> None:
        self._database = database
        self._durable = database.durable
        self._files = files
        self._uploads = Collection(
            database, "uploads", Upload, prefix="upload", noun="upload", tag=lambda upload: upload.status
        )
        self._parts = Collection(database, "upload_parts", UploadPart, prefix="part", noun="part")
        self._directory = posixpath.join(directory, "uploads")
        self._durable.make_dir(self._directory)

    def clear(self) -> None:
        """Take over the uploads of an earlier version, and remove what a crash left behind. For the start."""
        Contents(self._durable, self._directory, "upload").take_over(self._uploads, "upload.json")
        pending = {upload.id for upload in self._uploads.list("pending")}
        for upload_id in self._durable.list_dir(self._directory):
            if upload_id in pending:
                if self._contents(upload_id).take_over(self._parts_of(upload_id), "part.json"):
                    self._count_parts(upload_id)
                self._contents(upload_id).clear(set(self._parts_of(upload_id).ids()))
            elif is_id(upload_id, "upload"):
                self._remove_parts(upload_id)

    def expire(self) -> None:
        """End uploads that have expired, and forget those that have been over for long."""
        for upload_id in self._uploads.ids():
            try:
                if self.get(upload_id).expires_at + FORGOTTEN_AFTER_S <= self._files.now():
                    self._database.freeing(partial(self._uploads.delete, upload_id))
            except ObjectNotFoundError:
                continue
            except StoreError as error:
                _log.warning("expired upload not removed: %s", error)

    def create(self, upload: Upload) -> Upload:
        """Begin an upload."""
        self._contents(upload.id).make()
        self._uploads.put(upload)
        return upload

    def get(self, upload_id: str) -> Upload:
        """One upload, as it is now. Raises ObjectNotFoundError or StoreDamagedError."""
        upload = self._uploads.get(upload_id)
        if not self._is_late(upload):
            return upload
        with self._database.change():
            upload = self._uploads.get(upload_id)
            if self._is_late(upload):
                upload = self._end(upload, "expired")
        self._remove_parts(upload_id)
        return upload

    def begin_part(self, upload_id: str, part_id: str) -> NewFile:
        """A part to write into. Raises StateConflictError if the upload takes none. Then `finish_part` or `discard`."""
        self._parts.check(part_id)
        self._pending(upload_id)
        return self._contents(upload_id).begin(part_id)

    def finish_part(self, part: UploadPart, content: NewFile) -> UploadPart:
        """Store a part whose bytes have been written. Discards it if that fails.

        Raises InvalidParameterError if the parts have more bytes than the upload was announced with, and
        StateConflictError beyond MAX_PARTS.
        """
        contents, parts = self._contents(part.upload_id), self._parts_of(part.upload_id)
        try:
            content.finish()
            contents.publish(part.id)
            with self._database.change():
                upload = self._pending(part.upload_id)
                taken = msgspec.structs.replace(
                    upload, parts=upload.parts + 1, received=upload.received + part.bytes
                )
                if taken.received > upload.bytes:
                    message = f"The parts have more than the {upload.bytes} bytes that the upload was announced with."
                    raise InvalidParameterError(message, param="data")
                if taken.parts > MAX_PARTS:
                    raise StateConflictError(f"Upload {upload.id} has {MAX_PARTS} parts already; send larger parts.")
                parts.put(part)
                self._uploads.put(taken)
        except BaseException:
            content.close()
            contents.discard(part.id)
            contents.remove(part.id)
            raise
        return part

    def discard_part(self, upload_id: str, part_id: str, content: NewFile) -> None:
        """Give up a part that is not finished."""
        content.close()
        self._contents(upload_id).discard(part_id)

    def complete(self, upload_id: str, part_ids: Sequence[str], md5: str | None = None) -> tuple[Upload, StoredFile]:
        """Put the parts together, in this order, as a file.

        Doing it again returns the same file. Raises StateConflictError if the upload is over, and InvalidParameterError
        for parts that it does not have, for a size that is not the announced one, and for another checksum.
        """
        upload = self.get(upload_id)
        if (made := self._made(upload)) is not None:
            return upload, made
        upload = self._pending(upload_id)
        if len(set(part_ids)) < len(part_ids):
            raise InvalidParameterError("Invalid 'part_ids': a part is named twice.", param="part_ids")
        parts = [self._part(upload_id, part_id, at) for at, part_id in enumerate(part_ids)]
        total = sum(part.bytes for part in parts)
        if total != upload.bytes:
            message = f"The parts have {total} bytes together, but the upload was announced with {upload.bytes}."
            raise InvalidParameterError(message, param="part_ids")
        file = self._file(upload)
        self._files.place(file.id, self._put_together(upload, file, parts, md5))
        try:
            with self._database.change():
                now = self._uploads.get(upload_id)
                if (made := self._made(now)) is None:
                    self._pending(upload_id)
                    made = self._files.add(file)
                    now = self._end(msgspec.structs.replace(now, file_id=file.id), "completed")
        except BaseException:
            self._files.remove_bytes(file.id)
            raise
        if made.id != file.id:  # another request has completed it meanwhile
            self._files.remove_bytes(file.id)
        self._remove_parts(upload_id)
        return now, made

    def cancel(self, upload_id: str) -> Upload:
        """End an upload. Raises StateConflictError if it is over."""

        def cancel() -> Upload:
            with self._database.change():
                return self._end(self._pending(upload_id), "cancelled")

        upload = self._database.freeing(cancel)
        self._remove_parts(upload_id)
        return upload

    def _count_parts(self, upload_id: str) -> None:
        sizes = [part.bytes for part in self._parts_of(upload_id).list()]
        with self._database.change():
            upload = self._uploads.get(upload_id)
            self._uploads.put(msgspec.structs.replace(upload, parts=len(sizes), received=sum(sizes)))

    def _is_late(self, upload: Upload) -> bool:
        return upload.status == "pending" and upload.expires_at <= self._files.now()

    def _made(self, upload: Upload) -> StoredFile | None:
        """The file that the upload became; None also if it was deleted."""
        if upload.file_id is None:
            return None
        try:
            return self._files.get(upload.file_id)
        except ObjectNotFoundError:
            return None

    def _file(self, upload: Upload) -> StoredFile:
        now = self._files.now()
        after = upload.file_expires_after
        return StoredFile(
            id=new_id("file", separator="-"),
            created_at=now,
            filename=upload.filename,
            purpose=upload.purpose,
            bytes=upload.bytes,
            expires_at=None if after is None else now + after,
        )

    def _put_together(
        self, upload: Upload, file: StoredFile, parts: Sequence[UploadPart], md5: str | None
    ) -> NewFile:
        digest = hashlib.md5(usedforsecurity=False)
        content = self._files.begin(file.id)
        try:
            for part in parts:
                for data in read_parts(self._durable, self._contents(upload.id).path(part.id), part.bytes):
                    digest.update(data)
                    content.write(data)
            if md5 is not None and digest.hexdigest() != md5.lower():
                message = f"The file's MD5 checksum is {digest.hexdigest()}, not the given one."
                raise InvalidParameterError(message, param="md5")
        except FileNotFoundError as error:
            self._files.discard(file.id, content)
            self._pending(upload.id)  # it may have ended meanwhile
            raise StoreDamagedError(f"Bytes of {upload.id} are missing: {error.filename}.") from error
        except BaseException:
            self._files.discard(file.id, content)
            raise
        return content

    def _end(self, upload: Upload, status: UploadStatus) -> Upload:
        """For use in a change. Then call `_remove_parts`."""
        upload = msgspec.structs.replace(upload, status=status)
        self._uploads.put(upload)
        self._parts_of(upload.id).clear()
        return upload

    def _remove_parts(self, upload_id: str) -> None:
        self._durable.discard_tree(posixpath.join(self._directory, upload_id))

    def _pending(self, upload_id: str) -> Upload:
        upload = self.get(upload_id)
        if upload.status != "pending":
            raise StateConflictError(f"Upload {upload_id} is {upload.status}.")
        return upload

    def _part(self, upload_id: str, part_id: str, at: int) -> UploadPart:
        try:
            return self._parts_of(upload_id).get(part_id)
        except ObjectNotFoundError:
            message = f"Invalid 'part_ids[{at}]': this upload has no part with id '{part_id[:100]}'."
            raise InvalidParameterError(message, param=f"part_ids[{at}]") from None

    def _parts_of(self, upload_id: str) -> Collection[UploadPart]:
        return self._parts.within(upload_id, upload_id=upload_id)

    def _contents(self, upload_id: str) -> Contents:
        return Contents(self._durable, posixpath.join(self._directory, upload_id, "parts"), "part")
