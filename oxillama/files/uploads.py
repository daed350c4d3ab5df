"""Files that arrive in parts: `uploads/<id>/` with `upload.json` and a folder for each part."""

from __future__ import annotations

import hashlib
import logging
import posixpath
import threading
from collections.abc import Sequence

import msgspec

from oxillama.errors import InvalidParameterError, ObjectNotFoundError, StateConflictError, StoreError
from oxillama.files.records import StoredFile, Upload, UploadPart
from oxillama.files.store import FileStore
from oxillama.storage.collection import DirectoryCollection
from oxillama.storage.durable import Durable
from oxillama.storage.ids import new_id
from oxillama.storage.stream import NewFile, read_parts

UPLOAD_LIFETIME_S = 3600
MAX_PARTS = 10_000
FORGOTTEN_AFTER_S = 86_400
"""The record of an upload stays this long after the upload's time, so that a late client learns what became of it."""

_log = logging.getLogger(__name__)
_LOCKS = 16


class UploadStore:
    """All uploads. An upload that is over loses its parts, and a day later its record.

    Safe to use from several threads. All methods block and raise what `Durable` raises.
    """

    def __init__(self, directory: str, durable: Durable, files: FileStore) -> None:
        self._durable = durable
        self._files = files
        self._uploads = DirectoryCollection(
            durable, posixpath.join(directory, "uploads"), Upload, head="upload.json", prefix="upload", noun="upload"
        )
        durable.make_dir(self._uploads.directory)
        self._locks = [threading.RLock() for _ in range(_LOCKS)]
        self._taken: dict[str, tuple[int, int]] = {}  # upload → its parts and their bytes; under the upload's lock

    def clear(self) -> None:
        """Remove what a crash left behind. For the start."""
        self._uploads.clear()
        for upload_id in self._uploads.ids():
            self._parts(upload_id).clear()

    def expire(self) -> None:
        """End uploads that have expired, and forget those that have been over for long."""
        for upload_id in self._uploads.ids():
            try:
                with self._lock(upload_id):
                    if self.get(upload_id).expires_at + FORGOTTEN_AFTER_S <= self._files.now():
                        self._uploads.delete(upload_id)
            except ObjectNotFoundError:  # its deletion was cut short
                continue
            except StoreError as error:
                _log.warning("expired upload not removed: %s", error)

    def create(self, upload: Upload) -> Upload:
        """Begin an upload."""
        self._uploads.create(upload, "parts")
        return upload

    def get(self, upload_id: str) -> Upload:
        """One upload, as it is now. Raises ObjectNotFoundError or StoreDamagedError."""
        with self._lock(upload_id):
            upload = self._uploads.get(upload_id)
            if upload.status == "pending" and upload.expires_at <= self._files.now():
                return self._end(upload, "expired" if self._made(upload) is None else "completed")
            return upload

    def begin_part(self, upload_id: str, part_id: str) -> NewFile:
        """A part to write into. Raises StateConflictError if the upload takes none. Then `finish_part` or `discard`."""
        self._pending(upload_id)
        hidden = self._parts(upload_id).hidden(part_id)
        self._durable.make_hidden_dirs(hidden)
        return NewFile(self._durable, posixpath.join(hidden, "content"))

    def finish_part(self, part: UploadPart, content: NewFile) -> UploadPart:
        """Store a part whose bytes have been written. Discards it if that fails.

        Raises InvalidParameterError if the parts have more bytes than the upload was announced with, and
        StateConflictError beyond MAX_PARTS.
        """
        try:
            content.finish()
            with self._lock(part.upload_id):
                upload, parts = self._pending(part.upload_id), self._parts(part.upload_id)
                count, size = self._taken_by(upload.id)
                if part.bytes + size > upload.bytes:
                    message = f"The parts have more than the {upload.bytes} bytes that the upload was announced with."
                    raise InvalidParameterError(message, param="data")
                if count >= MAX_PARTS:
                    raise StateConflictError(f"Upload {upload.id} has {MAX_PARTS} parts already; send larger parts.")
                parts.publish(part)
                self._taken[upload.id] = count + 1, size + part.bytes
                return part
        except BaseException:
            self.discard_part(part.upload_id, part.id, content)
            raise

    def discard_part(self, upload_id: str, part_id: str, content: NewFile) -> None:
        """Give up a part that is not finished."""
        content.close()
        self._parts(upload_id).discard(part_id)

    def complete(self, upload_id: str, part_ids: Sequence[str], md5: str | None = None) -> tuple[Upload, StoredFile]:
        """Put the parts together, in this order, as a file.

        Doing it again returns the same file, also after a crash. Raises StateConflictError if the upload is over, and
        InvalidParameterError for parts that it does not have, for a size that is not the announced one, and for another
        checksum.
        """
        with self._lock(upload_id):
            upload = self.get(upload_id)
            if (made := self._made(upload)) is not None:
                return self._completed(upload, made)
            upload = self._pending(upload_id)
            if len(set(part_ids)) < len(part_ids):
                raise InvalidParameterError("Invalid 'part_ids': a part is named twice.", param="part_ids")
            parts = [self._part(upload_id, part_id, at) for at, part_id in enumerate(part_ids)]
            total = sum(part.bytes for part in parts)
            if total != upload.bytes:
                message = f"The parts have {total} bytes together, but the upload was announced with {upload.bytes}."
                raise InvalidParameterError(message, param="part_ids")
            if upload.file_id is None:  # before the file exists, so that a crash makes no second one
                upload = msgspec.structs.replace(upload, file_id=new_id("file", separator="-"))
                self._uploads.put(upload)
            return self._completed(upload, self._put_together(upload, parts, md5))

    def cancel(self, upload_id: str) -> Upload:
        """End an upload. Raises StateConflictError if it is over."""
        with self._lock(upload_id):
            return self._end(self._pending(upload_id), "cancelled")

    def _taken_by(self, upload_id: str) -> tuple[int, int]:
        """How many parts an upload has, and their bytes. The parts are read once, so that adding one stays quick."""
        if upload_id not in self._taken:
            sizes = [part.bytes for part in self._parts(upload_id).list()]
            self._taken[upload_id] = len(sizes), sum(sizes)
        return self._taken[upload_id]

    def _made(self, upload: Upload) -> StoredFile | None:
        """The file that the upload became; None also if it was deleted."""
        if upload.file_id is None:
            return None
        try:
            return self._files.get(upload.file_id)
        except ObjectNotFoundError:
            return None

    def _put_together(self, upload: Upload, parts: Sequence[UploadPart], md5: str | None) -> StoredFile:
        assert upload.file_id is not None
        now = self._files.now()
        after = upload.file_expires_after
        file = StoredFile(
            id=upload.file_id,
            created_at=now,
            filename=upload.filename,
            purpose=upload.purpose,
            bytes=upload.bytes,
            expires_at=None if after is None else now + after,
        )
        digest = hashlib.md5(usedforsecurity=False)
        content = self._files.begin(file.id)
        try:
            for part in parts:
                path = posixpath.join(self._parts(upload.id).dir(part.id), "content")
                for data in read_parts(self._durable, path, part.bytes):
                    digest.update(data)
                    content.write(data)
            if md5 is not None and digest.hexdigest() != md5.lower():
                message = f"The file's MD5 checksum is {digest.hexdigest()}, not the given one."
                raise InvalidParameterError(message, param="md5")
        except BaseException:
            self._files.discard(file.id, content)
            raise
        return self._files.finish(file, content)

    def _completed(self, upload: Upload, file: StoredFile) -> tuple[Upload, StoredFile]:
        return (upload if upload.status == "completed" else self._end(upload, "completed")), file

    def _end(self, upload: Upload, status: str) -> Upload:
        upload = msgspec.structs.replace(upload, status=status)
        self._uploads.put(upload)
        self._taken.pop(upload.id, None)
        self._durable.discard_tree(self._parts(upload.id).directory)
        return upload

    def _pending(self, upload_id: str) -> Upload:
        upload = self.get(upload_id)
        if upload.status != "pending":
            raise StateConflictError(f"Upload {upload_id} is {upload.status}.")
        return upload

    def _part(self, upload_id: str, part_id: str, at: int) -> UploadPart:
        try:
            return self._parts(upload_id).get(part_id)
        except ObjectNotFoundError:
            message = f"Invalid 'part_ids[{at}]': this upload has no part with id '{part_id[:100]}'."
            raise InvalidParameterError(message, param=f"part_ids[{at}]") from None

    def _parts(self, upload_id: str) -> DirectoryCollection[UploadPart]:
        directory = posixpath.join(self._uploads.dir(upload_id), "parts")
        return DirectoryCollection(
            self._durable, directory, UploadPart, head="part.json", prefix="part", noun="part", upload_id=upload_id
        )

    def _lock(self, upload_id: str) -> threading.RLock:
        return self._locks[hash(upload_id) % _LOCKS]
