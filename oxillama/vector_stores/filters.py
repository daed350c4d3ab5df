"""Conditions on the attributes of files, as requests write them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec

AttributeValue = str | float | bool
Attributes = Mapping[str, AttributeValue]

MOST_NESTED = 16
"""How deep conditions may lie in each other."""

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]

_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute compared with a value; `in` and `nin` take a list of values.

    A file without the attribute passes `ne` and `nin` only. Values of different kinds are not equal and have no
    order.
    """

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: Key
    value: AttributeValue | list[str | float | bool]


class Compound(msgspec.Struct, frozen=True, kw_only=True):
    """All (`and`) or at least one (`or`) of several conditions."""

    type: Literal["and", "or"]
    filters: list[Filter]


Filter = Comparison | Compound


def accepts(condition: Filter | None, attributes: Attributes) -> bool:
    """Whether a file with these attributes passes; None: every file does."""
    if condition is None:
        return True
    if isinstance(condition, Compound):
        decide = all if condition.type == "and" else any
        return decide(accepts(one, attributes) for one in condition.filters)
    value = attributes.get(condition.key)
    wanted = condition.value
    if condition.type in ("eq", "ne"):
        return _same(value, wanted) == (condition.type == "eq")
    if condition.type in ("in", "nin"):
        found = isinstance(wanted, list) and any(_same(value, one) for one in wanted)
        return found == (condition.type == "in")
    ordered = _kind(value) == _kind(wanted) and _kind(value) in ("text", "number")
    return ordered and _ORDERS[condition.type](value, wanted)


def _same(one: object, other: object) -> bool:
    return _kind(one) == _kind(other) and one == other


def _kind(value: object) -> str:
    if isinstance(value, bool):  # before numbers: True == 1 in Python, but not for clients
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else type(value).__name__
