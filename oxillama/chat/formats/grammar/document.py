"""A JSON schema with its references, as grammars of values need it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oxillama.chat.schemas.document import SchemaError
from oxillama.chat.values.kinds import INTEGER, NUMBER, Kinds, Parameters

HARMLESS = frozenset(
    (
        "$anchor", "$comment", "$defs", "$id", "$schema", "contentEncoding", "contentMediaType", "contentSchema",
        "default", "definitions", "deprecated", "description", "example", "examples", "format", "nullable", "readOnly",
        "strict", "title", "type", "writeOnly",
    )
)  # fmt: skip
"""Keywords that restrict no value, or that every grammar heeds (`type`)."""

_FOLLOWED = 16
_DEEPEST = 128
_ROOT = "schema"


@dataclass(frozen=True, slots=True)
class Place:
    """A schema within a document. pointer: where it is, as in `$ref` without `#`."""

    schema: Any
    pointer: str

    def at(self, *steps: str | int) -> Place:
        """A schema within this one."""
        schema = self.schema
        for step in steps:
            schema = schema[step]
        return Place(schema, self.pointer + "".join(f"/{escaped(step)}" for step in steps))

    def keyword(self, name: str, kind: type) -> Any:
        """The value of a keyword if it has the right type; else None."""
        value = self.schema.get(name) if isinstance(self.schema, Mapping) else None
        return value if isinstance(value, kind) and not (isinstance(value, str) and kind is Sequence) else None

    @property
    def asserted(self) -> list[str]:
        """The keywords that restrict values, besides `type`."""
        if not isinstance(self.schema, Mapping):
            return []
        return [str(key) for key in self.schema if key not in HARMLESS and not str(key).startswith("x-")]


class Document:
    """The schema of a tool's arguments."""

    def __init__(self, schema: Mapping[str, Any] | None) -> None:
        self.closed = schema is None  # a tool without schema takes no arguments
        self._parameters = Parameters(schema)
        self._root: Mapping[str, Any] = schema if isinstance(schema, Mapping) else {}
        _check_depth(self._root)
        self._alternatives: set[str] = set()
        self.root = self.followed(Place(self._root, ""))

    def followed(self, place: Place) -> Place:
        """What a schema refers to, if it is a reference and nothing else; else itself."""
        for _ in range(_FOLLOWED):
            if place.asserted != ["$ref"] or not isinstance(place.schema["$ref"], str):
                break
            found = self._parameters.target(place.schema["$ref"])
            if found is None:
                break
            place = Place(found, place.schema["$ref"][1:])
        return place

    def kinds(self, place: Place) -> Kinds | None:
        """The types that values may have; None: any."""
        return self._parameters.kinds_of(place.schema)

    def note_alternatives(self, places: Sequence[Place]) -> None:
        """Remember schemas as alternatives of another."""
        self._alternatives.update(place.pointer for place in places)

    def is_alternative(self, place: Place) -> bool:
        return place.pointer in self._alternatives

    def apart(self, places: Sequence[Place]) -> bool:
        """Whether the schemas have no type in common."""
        seen: set[str] = set()
        for place in places:
            kinds = self.kinds(place)
            if kinds is None or seen & kinds or seen | kinds >= {INTEGER, NUMBER}:
                return False
            seen |= kinds
        return True

    def properties(self, place: Place) -> list[tuple[str, Place, bool]]:
        """The declared properties of an object in order, and whether each must be there."""
        declared = place.keyword("properties", Mapping) or {}
        names = place.keyword("required", Sequence) or ()
        required = dict.fromkeys(name for name in names if isinstance(name, str))  # a client may give thousands
        found = [(name, place.at("properties", name), name in required) for name in declared]
        return found + [
            (name, Place({}, f"{place.pointer}/required"), True) for name in required if name not in declared
        ]

    def is_open(self, place: Place) -> bool:
        """Whether an object declares nothing, so that its members have any names."""
        return (
            not self.closed
            and not place.keyword("properties", Mapping)
            and not (isinstance(place.schema, Mapping) and place.schema.get("additionalProperties") is False)
        )

    def alone(self, place: Place) -> Any:
        """The schema as a document of its own: what it refers to comes with it."""
        if not isinstance(place.schema, Mapping):
            return {}
        if '"$ref"' not in json.dumps(place.schema):
            return place.schema
        return {"$ref": f"#/$defs/{_ROOT}{place.pointer}", "$defs": {_ROOT: _moved(self._root)}}


def _check_depth(schema: Any) -> None:
    """Raise SchemaError if schemas are nested too deep to be walked through."""
    level: list[Any] = [schema]
    for _ in range(_DEEPEST):
        level = [
            inner
            for part in level
            for inner in (part.values() if isinstance(part, Mapping) else part)
            if isinstance(inner, Mapping | list | tuple)
        ]
        if not level:
            return
    raise SchemaError("properties", "", f"is nested deeper than {_DEEPEST} levels")


def escaped(step: str | int) -> str:
    """A step of a JSON pointer (RFC 6901)."""
    return str(step).replace("~", "~0").replace("/", "~1")


def _moved(schema: Any) -> Any:
    """The root schema with its references changed for its new place, and without a name of its own."""
    if isinstance(schema, Mapping):
        return {
            key: f"#/$defs/{_ROOT}{value[1:]}"
            if key == "$ref" and isinstance(value, str) and value.startswith("#")
            else _moved(value)
            for key, value in schema.items()
            if key not in ("$id", "$schema")
        }
    return [_moved(item) for item in schema] if isinstance(schema, list | tuple) else schema
