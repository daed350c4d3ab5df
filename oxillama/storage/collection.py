"""Stored objects of one kind in a directory of their own: a JSON file each, or a directory each."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from oxillama.errors import ObjectNotFoundError, StoreDamagedError, StoreError
from oxillama.storage.durable import Durable
from oxillama.storage.ids import is_id
from oxillama.storage.record import Record

R = TypeVar("R", bound=Record)
_log = logging.getLogger(__name__)


class Collection(Generic[R]):
    """Objects as `<directory>/<id>.json`.

    prefix: how ids begin. noun: the kind of object in errors. fields: values that all objects in this directory share,
    such as the id of the thread they belong to. They and the object's id come from the path, not from the content.

    A file is an object if its name is a valid id. Other files in the directory are ignored. All methods block and raise
    what `Durable` raises. Callers make sure that two changes of one object do not run at the same time.
    """

    def __init__(
        self, durable: Durable, directory: str, kind: type[R], *, prefix: str, noun: str, **fields: Any
    ) -> None:
        self.directory = directory
        self._durable = durable
        self._kind = kind
        self._prefix = prefix
        self._noun = noun
        self._fields = fields

    def path(self, object_id: str) -> str:
        """Where the object is stored. Raises ObjectNotFoundError if `object_id` is not a valid id."""
        self.check(object_id)
        return posixpath.join(self.directory, f"{object_id}.json")

    def check(self, object_id: str) -> None:
        """Raise ObjectNotFoundError unless this is a valid id: other texts must not become part of a path."""
        if not is_id(object_id, self._prefix):
            raise ObjectNotFoundError(self._noun, object_id)

    def ids(self) -> list[str]:
        """The ids of the stored objects, unordered."""
        names = (name.removesuffix(".json") for name in self._durable.list_dir(self.directory) if name[-5:] == ".json")
        return [name for name in names if is_id(name, self._prefix)]

    def get(self, object_id: str) -> R:
        """One object. Raises ObjectNotFoundError or StoreDamagedError."""
        path = self.path(object_id)
        try:
            record = self._durable.read_json(path, self._kind)
        except FileNotFoundError:
            raise ObjectNotFoundError(self._noun, object_id) from None
        return msgspec.structs.replace(record, id=object_id, **self._fields)

    def list(self) -> list[R]:
        """All objects, oldest first. Damaged ones are left out and logged."""
        found: list[R] = []
        for object_id in self.ids():
            try:
                found.append(self.get(object_id))
            except (StoreDamagedError, ObjectNotFoundError) as error:
                _log.error("%s left out: %s", self._noun, error)
        return sorted(found, key=lambda record: record.place)

    def put(self, record: R) -> None:
        """Create or replace the object."""
        self._durable.make_dir(self.directory)
        self._durable.write_json(self.path(record.id), record)

    def delete(self, object_id: str) -> None:
        """Delete the object. A missing object is not an error."""
        self._durable.remove_file(self.path(object_id))

    def clear(self) -> None:
        """Remove what a crash left behind. Call it only at start-up, while nothing else changes objects here."""
        self._durable.clear_dir(self.directory)


class DirectoryCollection(Collection[R]):
    """Objects as `<directory>/<id>/<head>`. Other files of the object are in the same directory.

    A directory appears with all its files. One without its head is a deleted object.
    """

    def __init__(
        self, durable: Durable, directory: str, kind: type[R], *, head: str, prefix: str, noun: str, **fields: Any
    ) -> None:
        super().__init__(durable, directory, kind, prefix=prefix, noun=noun, **fields)
        self._head = head

    def dir(self, object_id: str) -> str:
        """The object's directory. Raises ObjectNotFoundError if `object_id` is not a valid id."""
        self.check(object_id)
        return posixpath.join(self.directory, object_id)

    def path(self, object_id: str) -> str:
        return posixpath.join(self.dir(object_id), self._head)

    def ids(self) -> list[str]:
        return [name for name in self._durable.list_dir(self.directory) if is_id(name, self._prefix)]

    def create(self, record: R, *folders: str, fill: Callable[[str], None] | None = None) -> None:
        """Store a new object atomically.

        folders: subdirectories to make. fill: called with the path of the hidden directory, to write further files.
        """
        hidden = self.hidden(record.id)
        try:
            self._durable.make_hidden_dirs(hidden, *folders)
            if fill is not None:
                fill(hidden)
            self.publish(record)
        except StoreError:
            self.discard(record.id)
            raise

    def hidden(self, object_id: str) -> str:
        """The directory in which a new object is put together."""
        self.check(object_id)
        return posixpath.join(self.directory, f".tmp-{object_id}")

    def publish(self, record: R) -> None:
        """Store a new object, whose hidden directory holds its other files."""
        hidden = self.hidden(record.id)
        self._durable.write_new_json(posixpath.join(hidden, self._head), record)
        self._durable.publish_dir(hidden, self.dir(record.id))

    def discard(self, object_id: str) -> None:
        """Give up a new object that is not published."""
        self._durable.discard_tree(self.hidden(object_id))

    def put(self, record: R) -> None:
        """Replace the object's head."""
        self._durable.write_json(self.path(record.id), record)

    def clear_one(self, object_id: str) -> None:
        """`clear` for the directory of one object."""
        self._durable.clear_dir(self.dir(object_id))

    def delete(self, object_id: str) -> None:
        """Delete the object with everything in its directory. Works on a full disk too."""
        self._durable.remove_tree(self.dir(object_id), self._head)
