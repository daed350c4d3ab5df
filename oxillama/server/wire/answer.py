"""What answers have in common. Each API states its own in its `answer` module; tests hold real answers against them."""

from __future__ import annotations

from typing import Literal, Self

import msgspec


class Answer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Every key is always there, in the order of the fields, except those that are UNSET."""


class RecordAnswer(Answer, kw_only=True):
    """A stored record as it is sent: of its fields those that are named here, and a constant `object`."""

    @classmethod
    def of(cls, record: object) -> Self:
        """The answer of one record, which has every field but `object`."""
        return cls(**{name: getattr(record, name) for name in cls.__struct_fields__ if name != "object"})


class Deleted(Answer, kw_only=True):
    """That an object is gone; `object` is its kind with `.deleted`."""

    id: str
    object: str
    deleted: Literal[True] = True
