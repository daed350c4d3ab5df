"""The base of all stored objects: an id, a time and an order."""

from __future__ import annotations

from typing import Self

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An immutable stored object; a change is a new record. Fields that have their default are not stored.

    sequence: orders records of the same second.
    """

    id: str
    created_at: int
    sequence: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """The sort key: oldest first."""
        return self.created_at, self.sequence

    def following(self, last: Record | None) -> Self:
        """The record with a place after `last` in the order, even if the clock has gone back."""
        if last is None:
            return self
        created_at = max(self.created_at, last.created_at)
        return msgspec.structs.replace(self, sequence=last.sequence + 1, created_at=created_at)
