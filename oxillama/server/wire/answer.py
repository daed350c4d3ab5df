"""The base of all answers. Each API defines its own in its `answer` module; tests compare real answers with them."""

from __future__ import annotations

from typing import Literal, Self

import msgspec


class Answer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Every key is always present, in the order of the fields, except those that are UNSET."""


class RecordAnswer(Answer, kw_only=True):
    """A stored record as it is sent: those of its fields that are named here, and a constant `object`."""

    @classmethod
    def of(cls, record: object) -> Self:
        """The answer for a record. The record has every field except `object`."""
        return cls(**{name: getattr(record, name) for name in cls.__struct_fields__ if name != "object"})


class Deleted(Answer, kw_only=True):
    """Confirms a deletion; `object` is the object's kind with `.deleted`."""

    id: str
    object: str
    deleted: Literal[True] = True
