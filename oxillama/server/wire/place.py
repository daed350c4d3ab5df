"""Finds the place in a body that msgspec's error message names, and the value there."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import inspect

LARGEST = 2**20
"""Bytes of body beyond which the place is not looked up again."""

_AT = re.compile(r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP = re.compile(r"[^.\[\]]+|(?<=\[)\.\.\.(?=\])")
ANY_KEY = "..."  # msgspec does not say which key of a mapping


class Absent:
    """Marks a value that is not known; `None` is a value."""


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Place:
    """what: msgspec's words. path: as the client wrote it, "" for the whole body. value: the value there, or ABSENT.
    of_key: the wrong part is not the value at `path` but `value`, one of its keys. kinds: the types allowed there."""

    what: str
    path: str
    value: object
    of_key: bool
    kinds: list[inspect.Type]


def find_place(message: str, body: bytes, kind: type) -> Place:
    """The place that a ValidationError with this text names, raised while decoding `body` as `kind`."""
    match = _AT.match(message)
    assert match is not None  # the pattern takes any text
    steps: list[str | int] = [int(s) if s.isdigit() else s for s in _STEP.findall(match["path"] or "")]
    of_key = match["key"] is not None
    value: object = ABSENT
    whole = _decoded(body)
    if whole is not ABSENT:
        steps, value = _looked_up(whole, steps + ([ANY_KEY] if of_key else []), message, kind)
        if of_key:
            key = steps.pop()
            value = ABSENT if key == ANY_KEY else key
    return Place(match["what"], _written(steps), value, of_key, _kinds_at(steps, whole, kind))


def _kinds_at(steps: list[str | int], whole: Any, kind: type) -> list[inspect.Type]:
    """The types allowed at `steps`. Of a tagged union, only the member that the body uses."""
    kinds, value = members(inspect.type_info(kind)), whole
    for step in steps:
        if isinstance(value, dict):
            tagged = [k for k in kinds if isinstance(k, inspect.StructType) and value.get(k.tag_field) == k.tag]
            kinds = [k for k in tagged if k.tag_field] or kinds
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            value = ABSENT
        kinds = [inner for outer in kinds for k in _inside(outer, step) for inner in members(k)]
    return kinds


def _decoded(body: bytes) -> object:
    """The whole body; ABSENT if it is too large, or is not JSON after the wrong value."""
    try:
        return msgspec.json.decode(body) if len(body) <= LARGEST else ABSENT
    except msgspec.DecodeError:
        return ABSENT


def members(kind: inspect.Type) -> list[inspect.Type]:
    """The members of a union; of any other type, the type itself."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return [m for one in kind.types for m in members(one)] if isinstance(kind, inspect.UnionType) else [kind]


def _looked_up(whole: Any, steps: list[str | int], message: str, kind: type) -> tuple[list[str | int], object]:
    """The steps, with each `...` replaced by its key, and the value at their end."""
    found: list[str | int] = []
    value = whole
    try:
        for step in steps:
            if step == ANY_KEY and isinstance(value, dict):
                step = _bad_key(whole, value, message, kind)
            found.append(step)
            value = value[step]
    except (KeyError, IndexError, TypeError):
        return found + steps[len(found) :], ABSENT
    return found, value


def _bad_key(whole: Any, mapping: dict[str, Any], message: str, kind: type) -> str:
    """The key that causes this error: without it and the keys after it, `mapping` in `whole` would be valid."""
    items = list(mapping.items())

    def fails(n: int) -> bool:
        mapping.clear()
        mapping.update(items[:n])
        try:
            msgspec.convert(whole, kind)
        except msgspec.ValidationError as error:
            return str(error) == message
        return False

    n = bisect_left(range(len(items) + 1), True, key=fails)
    mapping.clear()
    mapping.update(items)
    return items[n - 1][0] if 0 < n <= len(items) else ANY_KEY


def _inside(kind: inspect.Type, step: str | int) -> list[inspect.Type]:
    found: list[inspect.Type] = []
    for member in members(kind):
        if isinstance(member, inspect.StructType):
            found += [f.type for f in member.fields if f.encode_name == step]
            if member.tag_field == step:
                found.append(inspect.LiteralType((member.tag,)))
        elif isinstance(member, (inspect.ListType, inspect.VarTupleType)):
            found.append(member.item_type)
        elif isinstance(member, inspect.DictType):
            found.append(member.value_type)
    return found


def _written(steps: list[str | int]) -> str:
    written = ""
    for step in steps:
        if isinstance(step, int):
            written += f"[{step}]"
        else:
            written += f".{step[:40]}" if written else step[:40]
    return written
