"""Whether conditions plainly exclude each other: by their words, their types, or because one of them is `false`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oxillama.chat.schemas.document import SchemaError
from oxillama.chat.schemas.parts import Literal
from oxillama.chat.schemas.values import TYPES, key_of, type_of

if TYPE_CHECKING:
    from oxillama.chat.schemas.document import Document
    from oxillama.chat.schemas.parts import Conditions

MOST_FOLLOWED = 8
MOST_WORDS = 200
"""Listed values that are compared; longer lists count as any value."""


def is_void(document: Document, conditions: Conditions) -> bool:
    """Whether no value meets them all, as far as their own keywords show. False may be wrong, True is not."""
    words: set[str] | None = None
    excluded: set[str] = set()
    types = set(TYPES)
    for condition in conditions:
        if not isinstance(condition, Literal):
            continue
        schema = _followed(document, condition)
        if not isinstance(schema, Mapping):
            if (schema is False) is condition.positive:
                return True
            continue
        listed = _listed(schema)
        if not condition.positive:
            if listed is not None and set(schema) <= {"const", "enum", "title", "description", "$comment"}:
                excluded |= listed
            continue
        if listed is not None:
            words = listed if words is None else words & listed
        types &= _types(schema)
    return not types or (words is not None and not words - excluded)


def _followed(document: Document, condition: Literal) -> Any:
    place = condition.place
    for _ in range(MOST_FOLLOWED):
        if not isinstance(place.schema, Mapping) or "$ref" not in place.schema or len(place.schema) > 1:
            break
        try:
            place = document.target(place, "$ref")
        except SchemaError:  # whoever needs the reference says so
            break
    return place.schema


def _listed(schema: Mapping[str, Any]) -> set[str] | None:
    """The keys of the values that a schema lists and that have its types; None if it lists none, or too many."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list) or len(values) > MOST_WORDS:
        return None
    types = _types(schema)
    return {key_of(value) for value in values if type_of(value) in types}


def _types(schema: Mapping[str, Any]) -> set[str]:
    given = schema.get("type")
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return set(TYPES)
    return {"number" if name == "integer" else name for name in names}
