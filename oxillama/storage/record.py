"""The base of all stored objects: an id and a time."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An immutable stored object; a change is a new record. Fields that have their default are not stored.

    created_at: Unix seconds. Objects of the same second are in the order in which they were stored.
    """

    id: str
    created_at: int
