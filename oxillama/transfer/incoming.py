"""From a file into a data directory. What is there already stays as it is, so an import can be repeated."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from oxillama.assistants.records import Assistant, Thread, ThreadMessage
from oxillama.assistants.store.store import Store
from oxillama.errors import InvalidParameterError, ObjectNotFoundError
from oxillama.files.records import StoredFile
from oxillama.files.store import FileStore
from oxillama.transfer.opened import Opened
from oxillama.transfer.values import At, Values
from oxillama.transfer.wire import member_of, message_of, record_of, vector_store_of
from oxillama.vector_stores.records import VectorStore

PART = 2**20  # bytes of a file that are read at a time


class Import:
    """One file of objects. The whole file is checked before anything is stored.

    contents: a folder with the bytes of files, by their ids or names. done: how many objects of each kind were stored.
    left: the same for those that were not, and why.
    """

    def __init__(self, values: Values, contents: Path | None = None) -> None:
        self._values = values
        self._folder = contents
        self._places: dict[str, dict[str, At]] = {"assistant": {}, "thread": {}, "file": {}, "vector_store": {}}
        self._messages: dict[str, list[At]] = {}
        self._members: dict[str, list[At]] = {}
        self._parts: dict[str, list[At]] = {}
        self.done: Counter[str] = Counter()
        self.left: Counter[str] = Counter()

    def check(self) -> None:
        """Read the file once, and note what lies where. Raises InvalidParameterError for the first wrong object."""
        for at, value in self._values:
            try:
                self._note(at, value)
            except ValueError as error:
                raise self._values.invalid(at.line, str(error)) from None

    def _note(self, at: At, value: dict[str, Any]) -> None:
        match value.get("object"):
            case "assistant":
                self._places["assistant"][record_of(value, Assistant).id] = at
            case "thread":
                self._places["thread"][record_of(value, Thread).id] = at
            case "file":
                self._places["file"][record_of(value, StoredFile).id] = at
            case "thread.message":
                thread_id = message_of(value).thread_id
                record_of({"id": thread_id, "created_at": 0}, Thread)  # raises for an id that is none
                self._messages.setdefault(thread_id, []).append(at)
            case "vector_store":
                self._places["vector_store"][vector_store_of(value).id] = at
            case "vector_store.file":
                self._members.setdefault(member_of(value).vector_store_id, []).append(at)
            case "file.content":
                _bytes_of(value)
                self._parts.setdefault(str(value.get("file_id")), []).append(at)
            case None:
                raise ValueError("it has no 'object' that says what it is")
            case other:
                self.left[f"objects of the kind {str(other)[:40]!r}, which are not imported"] += 1

    def into(self, data: Opened) -> None:
        """Store everything that is not there yet. Blocking. Raises StoreError."""
        store, files = data.store, data.files
        for assistant in self._records("assistant", Assistant):
            if not _has(store.assistants.get, assistant.id):
                store.assistants.restore(assistant)
                self.done["assistants"] += 1
            else:
                self.left["assistants that are there already"] += 1
        for file in self._records("file", StoredFile):
            self._import_file(files, file)
        for vector_store in self._records("vector_store", VectorStore):
            self._import_vector_store(data, vector_store)
        for thread_id in dict.fromkeys([*self._places["thread"], *self._messages]):
            self._import_thread(store, thread_id)

    def _records(self, name: str, kind: type[Any]) -> list[Any]:
        """The objects of a kind, oldest first."""
        make = vector_store_of if kind is VectorStore else lambda value: record_of(value, kind)
        found = [make(self._values.again(at)) for at in self._places[name].values()]
        return sorted(found, key=lambda record: record.created_at)

    def _import_thread(self, store: Store, thread_id: str) -> None:
        if _has(store.threads.get, thread_id):
            self.left["threads that are there already"] += 1
            return
        places = self._messages.get(thread_id, [])
        paged = any(at.paged for at in places)
        messages = in_order([message_of(self._values.again(at)) for at in places], paged=paged)
        at = self._places["thread"].get(thread_id)
        if at is not None:
            thread = record_of(self._values.again(at), Thread)
        else:  # the hosted API lists the messages of a thread, but no threads
            thread = Thread(id=thread_id, created_at=messages[0].created_at)
        store.threads.create(thread, messages)
        self.done["threads"] += 1
        self.done["messages"] += len(messages)

    def _import_vector_store(self, data: Opened, vector_store: VectorStore) -> None:
        """A vector store with those of its files that are there. The next server to start reads the files."""
        if _has(data.vector_stores.get, vector_store.id):
            self.left["vector stores that are there already"] += 1
            return
        members = [member_of(self._values.again(at)) for at in self._members.get(vector_store.id, ())]
        there = [member for member in members if _has(data.files.get, member.id)]
        if len(there) < len(members):
            self.left["files of vector stores without their bytes"] += len(members) - len(there)
        data.vector_stores.create(vector_store, there, as_it_is=True)
        self.done["vector stores"] += 1

    def _import_file(self, files: FileStore, file: StoredFile) -> None:
        if _has(files.get, file.id):
            self.left["files that are there already"] += 1
            return
        if file.expires_at is not None and file.expires_at <= files.now():
            self.left["files that have expired"] += 1
            return
        source = self._content(file)
        if source is None:
            self.left["files without their bytes"] += 1
            return
        content = files.begin(file.id)
        try:
            for data in source:
                content.write(data)
            if content.size != file.bytes:
                message = f"The file {file.id} has {file.bytes} bytes, but {content.size} were found."
                raise InvalidParameterError(message)
        except BaseException:
            files.discard(file.id, content)
            raise
        files.finish(file, content, as_it_is=True)
        self.done["files"] += 1

    def _content(self, file: StoredFile) -> Iterator[bytes] | None:
        """The bytes of a file; None: they are nowhere."""
        if file.id in self._parts:
            return (_bytes_of(self._values.again(at)) for at in self._parts[file.id])
        if self._folder is not None:
            for name in (file.id, os.path.basename(file.filename)):
                path = self._folder / name
                if path.is_file():
                    return _read(path)
        return iter(()) if file.bytes == 0 else None


def in_order(messages: list[ThreadMessage], *, paged: bool) -> list[ThreadMessage]:
    """Messages oldest first; those of one second stay in their order. paged: they come from lists of the API, which
    begin with the newest unless they are asked otherwise."""
    once = list({message.id: message for message in messages}.values())
    times = [message.created_at for message in once]
    if times == sorted(times, reverse=True) and (paged or times != sorted(times)):
        once.reverse()
    return sorted(once, key=lambda message: message.created_at)


def _bytes_of(value: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(value["data"], validate=True)
    except (KeyError, TypeError, binascii.Error):
        raise ValueError("its 'data' is not base64 text") from None


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(PART):
            yield data


def _has(get: Callable[[str], object], object_id: str) -> bool:
    try:
        get(object_id)
    except ObjectNotFoundError:
        return False
    return True


@contextlib.contextmanager
def seekable(stream: BinaryIO) -> Iterator[BinaryIO]:
    """The stream, or a copy of what a pipe has, because the objects are read twice."""
    if stream.seekable():
        yield stream
        return
    with tempfile.TemporaryFile() as copy:
        while data := stream.read(PART):
            copy.write(data)
        yield copy
