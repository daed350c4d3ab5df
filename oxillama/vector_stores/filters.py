"""Conditions on the attributes of files, as requests write them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec

AttributeValue = str | int | float | bool
Attributes = Mapping[str, AttributeValue]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Comparison(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """An attribute compared with a value. Values of different kinds are not equal and have no order."""

    key: Key


class Equal(Comparison, frozen=True, kw_only=True, tag="eq"):
    value: AttributeValue

    def accepts(self, attributes: Attributes) -> bool:
        return _same(attributes.get(self.key), self.value)


class NotEqual(Comparison, frozen=True, kw_only=True, tag="ne"):
    """A file without the attribute passes too."""

    value: AttributeValue

    def accepts(self, attributes: Attributes) -> bool:
        return not _same(attributes.get(self.key), self.value)


class In(Comparison, frozen=True, kw_only=True, tag="in"):
    value: list[AttributeValue]

    def accepts(self, attributes: Attributes) -> bool:
        return any(_same(attributes.get(self.key), one) for one in self.value)


class NotIn(Comparison, frozen=True, kw_only=True, tag="nin"):
    """A file without the attribute passes too."""

    value: list[AttributeValue]

    def accepts(self, attributes: Attributes) -> bool:
        return not any(_same(attributes.get(self.key), one) for one in self.value)


class Greater(Comparison, frozen=True, kw_only=True, tag="gt"):
    value: AttributeValue

    def accepts(self, attributes: Attributes) -> bool:
        return _ordered(operator.gt, attributes.get(self.key), self.value)


class GreaterOrEqual(Comparison, frozen=True, kw_only=True, tag="gte"):
    value: AttributeValue

    def accepts(self, attributes: Attributes) -> bool:
        return _ordered(operator.ge, attributes.get(self.key), self.value)


class Less(Comparison, frozen=True, kw_only=True, tag="lt"):
    value: AttributeValue

    def accepts(self, attributes: Attributes) -> bool:
        return _ordered(operator.lt, attributes.get(self.key), self.value)


class LessOrEqual(Comparison, frozen=True, kw_only=True, tag="lte"):
    value: AttributeValue

    def accepts(self, attributes: Attributes) -> bool:
        return _ordered(operator.le, attributes.get(self.key), self.value)


class And(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="and"):
    """All of several conditions."""

    filters: list[Filter]

    def accepts(self, attributes: Attributes) -> bool:
        return all(one.accepts(attributes) for one in self.filters)


class Or(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="or"):
    """At least one of several conditions."""

    filters: list[Filter]

    def accepts(self, attributes: Attributes) -> bool:
        return any(one.accepts(attributes) for one in self.filters)


Filter = Equal | NotEqual | In | NotIn | Greater | GreaterOrEqual | Less | LessOrEqual | And | Or
"""`accepts` says whether a file with these attributes passes."""


def _ordered(holds: Callable[[Any, Any], bool], value: object, bound: object) -> bool:
    return _kind(value) == _kind(bound) in ("text", "number") and holds(value, bound)


def _same(one: object, other: object) -> bool:
    return _kind(one) == _kind(other) and one == other


def _kind(value: object) -> str:
    if isinstance(value, bool):  # before numbers: True == 1 in Python, but not for clients
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "none"
