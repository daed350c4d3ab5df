"""The bytes that belong to stored objects: `<directory>/<id>/content`.

Bytes are written in a hidden directory, which is renamed when they are whole. A row of the database says whether the
object exists: bytes without a row are what a crash left behind.
"""

from __future__ import annotations

import posixpath
from collections.abc import Container
from typing import TypeVar

from oxillama.storage.collection import Collection
from oxillama.storage.durable import Durable
from oxillama.storage.earlier.folders import heads
from oxillama.storage.ids import is_id
from oxillama.storage.record import Record
from oxillama.storage.stream import NewFile

R = TypeVar("R", bound=Record)

CONTENT = "content"


class Contents:
    """The contents of one kind of object. prefix: how ids begin. Methods raise what `Durable` raises."""

    def __init__(self, durable: Durable, directory: str, prefix: str) -> None:
        self.directory = directory
        self._durable = durable
        self._prefix = prefix

    def make(self) -> None:
        """Make the directory, if it is missing."""
        self._durable.make_dir(self.directory)

    def dir(self, object_id: str) -> str:
        """The object's directory. The caller has checked that this is an id."""
        return posixpath.join(self.directory, object_id)

    def path(self, object_id: str) -> str:
        """The object's bytes."""
        return posixpath.join(self.dir(object_id), CONTENT)

    def begin(self, object_id: str) -> NewFile:
        """New bytes to write. Then `publish` or `discard`."""
        self._durable.make_hidden_dir(self._hidden(object_id))
        return NewFile(self._durable, posixpath.join(self._hidden(object_id), CONTENT))

    def publish(self, object_id: str) -> None:
        """Put finished bytes in their place."""
        self._durable.publish_dir(self._hidden(object_id), self.dir(object_id))

    def discard(self, object_id: str) -> None:
        """Give up bytes that are not published. A failure is only logged: the next start tries again."""
        self._durable.discard_tree(self._hidden(object_id))

    def remove(self, object_id: str) -> None:
        """Remove the bytes of an object that is gone. A failure is only logged: the next start tries again."""
        self._durable.discard_tree(self.dir(object_id))

    def clear(self, known: Container[str]) -> None:
        """Remove all bytes but those of the known objects. For the start."""
        self._durable.clear_dir(self.directory)
        for name in self._durable.list_dir(self.directory):
            if is_id(name, self._prefix) and name not in known:
                self._durable.discard_tree(self.dir(name))

    def take_over(self, rows: Collection[R], head: str) -> bool:
        """Store the objects whose JSON an earlier version kept in a file beside the bytes. False: there are none."""
        found = heads(self._durable, self.directory, head, self._prefix)
        if found:
            rows.adopt(found)
            for object_id, _ in found:
                self._durable.discard_tree(posixpath.join(self.dir(object_id), head))
        return bool(found)

    def _hidden(self, object_id: str) -> str:
        return posixpath.join(self.directory, f".tmp-{object_id}")
