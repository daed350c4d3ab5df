"""A JSON schema as a document: its resources, anchors and references (JSON Schema 2020-12, core, sections 8 and 9).

A `Place` is a schema within it. The keywords of drafts 4 to 7 that say the same in another way are understood too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from oxillama.errors import InvalidParameterError

ONE = ("additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not",
       "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties")  # fmt: skip
MANY = ("allOf", "anyOf", "items", "oneOf", "prefixItems")
NAMED = ("$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties")

MOST_PLACES = 20_000
DEEPEST = 100


class SchemaError(InvalidParameterError):
    """A schema that cannot be honoured. keyword and path say what and where; `path` is a JSON pointer into it."""

    def __init__(self, keyword: str, path: str, reason: str, origin: str = "") -> None:
        """origin: what the caller calls the schema."""
        shown = f"'{keyword}' at '{path or '/'}'" if keyword else f"the schema at '{path or '/'}'"
        super().__init__(f"{origin and f'{origin[:80]}: '}{shown[:200]} {reason}", code="invalid_json_schema")
        self.keyword = keyword
        self.path = path
        self.reason = reason


@dataclass(eq=False, slots=True)
class Resource:
    """A schema with a URI of its own."""

    uri: str
    schema: Any
    path: str
    anchors: dict[str, Place] = field(default_factory=dict)
    dynamic: dict[str, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """A schema in a document. Equal places are the same schema, entered through the same resources.

    path: its JSON pointer. scope: the resources through which it was reached, for `$dynamicRef`.
    """

    path: str
    scope: tuple[str, ...]
    schema: Any = field(compare=False)
    resource: Resource = field(compare=False)

    def error(self, keyword: str, reason: str) -> SchemaError:
        return SchemaError(keyword, self.path, reason)


class Document:
    """A schema with everything that its references need. Raises SchemaError for one that is too large."""

    def __init__(self, schema: Any) -> None:
        self._resources: dict[str, Resource] = {}
        self._within: dict[int, Resource] = {}  # by the identity of a schema
        self._targets: dict[tuple[Place, str], Place] = {}
        uri = _own_uri(schema, "") or ""
        root = Resource(uri, schema, "")
        self._resources[uri] = self._resources[""] = root
        self._n = 0
        self._index(schema, "", root, 0)
        self.root = Place("", (root.uri,), schema, root)

    def _index(self, schema: Any, path: str, resource: Resource, depth: int) -> None:
        self._n += 1
        if self._n > MOST_PLACES:
            raise SchemaError("", path, f"has more than {MOST_PLACES} schemas in it")
        if depth > DEEPEST:
            raise SchemaError("", path, f"is more than {DEEPEST} schemas deep")
        if not isinstance(schema, Mapping):
            return
        if path and (own := _own_uri(schema, resource.uri)) is not None and own not in self._resources:
            resource = self._resources[own] = Resource(own, schema, path)
        self._within[id(schema)] = resource
        place = Place(path, (), schema, resource)
        for keyword, anchors in (("$anchor", resource.anchors), ("$dynamicAnchor", resource.anchors),
                                 ("$dynamicAnchor", resource.dynamic)):  # fmt: skip
            if isinstance(name := schema.get(keyword), str):
                anchors.setdefault(name, place)
        for name in ("$id", "id"):  # draft 4 to 7: an anchor
            if isinstance(given := schema.get(name), str) and given.startswith("#") and len(given) > 1:
                resource.anchors.setdefault(given[1:], place)
        for child, below in _children(schema):
            self._index(child, path + below, resource, depth + 1)

    def child(self, place: Place, keyword: str, *steps: str | int) -> Place:
        """The schema that a keyword of a place holds."""
        schema, path = place.schema[keyword], f"{place.path}/{_escaped(keyword)}"
        for step in steps:
            schema, path = schema[step], f"{path}/{_escaped(str(step))}"
        return self._enter(schema, path, place.scope, place.resource)

    def _enter(self, schema: Any, path: str, scope: tuple[str, ...], resource: Resource) -> Place:
        resource = self._within.get(id(schema), resource)
        if resource.uri not in scope:
            scope = (*scope, resource.uri)
        return Place(path, scope, schema, resource)

    def target(self, place: Place, keyword: str) -> Place:
        """What a `$ref` or `$dynamicRef` of a place refers to. Raises SchemaError if that is not in the document."""
        known = self._targets.get((place, keyword))
        if known is None:
            known = self._targets[place, keyword] = self._found(place, keyword)
        return known

    def _found(self, place: Place, keyword: str) -> Place:
        reference = place.schema[keyword]
        if not isinstance(reference, str):
            raise place.error(keyword, "is not a text")
        base = place.resource.uri
        whole = base + reference if reference.startswith("#") else urljoin(base, reference)
        uri, fragment = urldefrag(whole)
        resource = self._resources.get(uri) or self._resources.get(uri.rstrip("#"))
        if resource is None:
            raise place.error(keyword, f"refers to {reference[:80]!r}, which is not in the schema")
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            if keyword == "$dynamicRef" and fragment in resource.dynamic:
                for outer in place.scope:
                    if fragment in self._resources[outer].dynamic:
                        resource = self._resources[outer]
                        break
                found: Place | None = resource.dynamic[fragment]
            else:
                found = resource.anchors.get(fragment)
        else:
            found = _pointed(resource, fragment)
        if found is None:
            raise place.error(keyword, f"refers to {reference[:80]!r}, which is not in the schema")
        return self._enter(found.schema, found.path, place.scope, found.resource)


def _pointed(resource: Resource, pointer: str) -> Place | None:
    schema, path, base = resource.schema, resource.path, resource
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, Mapping) and step in schema:
            schema = schema[step]
        elif isinstance(schema, list) and step.isdecimal() and int(step) < len(schema):
            schema = schema[int(step)]
        else:
            return None
        path += f"/{_escaped(step)}"
    return Place(path, (), schema, base) if isinstance(schema, Mapping | bool) else None


def _children(schema: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    for keyword in ONE:
        if isinstance(held := schema.get(keyword), Mapping):
            yield held, f"/{keyword}"
    for keyword in MANY:
        if isinstance(held := schema.get(keyword), Sequence) and not isinstance(held, str):
            yield from ((one, f"/{keyword}/{at}") for at, one in enumerate(held))
    for keyword in NAMED:
        if isinstance(held := schema.get(keyword), Mapping):
            yield from ((one, f"/{keyword}/{_escaped(name)}") for name, one in held.items() if isinstance(one, Mapping))


def _own_uri(schema: Any, base: str) -> str | None:
    if not isinstance(schema, Mapping):
        return None
    given = schema.get("$id", schema.get("id"))
    if not isinstance(given, str) or given.startswith("#"):
        return None
    return urldefrag(urljoin(base, given))[0]


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
