"""What all stored objects share: an id, a time, and an order."""

from __future__ import annotations

from typing import Self

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An immutable object: a change is a new record. On disk a field that has its default is left out.

    sequence: the order among records of the same second.
    """

    id: str
    created_at: int
    sequence: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """What a list is sorted by, oldest first."""
        return self.created_at, self.sequence

    def following(self, last: Record | None) -> Self:
        """The record as the one after `last`, also when the clock has gone back."""
        if last is None:
            return self
        created_at = max(self.created_at, last.created_at)
        return msgspec.structs.replace(self, sequence=last.sequence + 1, created_at=created_at)
