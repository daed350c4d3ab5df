"""JSON schemas of the wire types; each struct stands once, in `components`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_origin

import msgspec
from msgspec import inspect

from oxillama.server.wire.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oxillama.server.operation import Operation

PREFIX = "#/components/schemas/"


class Schemas:
    """The schemas of everything that these operations take and answer, and of `others`."""

    def __init__(self, operations: Iterable[Operation], *others: Any) -> None:
        named = [*others, *(kind for operation in operations for kind in _types(operation))]
        structs = {kind: info for kind in named for kind, info in _structs(kind)}
        references, self.components = msgspec.json.schema_components(structs, ref_template=PREFIX + "{name}")
        self._references: dict[Any, dict[str, Any]] = dict(zip(structs, references, strict=True))
        for kind, info in structs.items():
            if issubclass(get_origin(info.cls) or info.cls, Answer):
                self._complete(self._component(kind), info)

    def of(self, kind: Any) -> dict[str, Any]:
        """A reference to the schema of a struct."""
        return dict(self._references[kind])

    def of_events(self, chunk: Any) -> dict[str, Any]:
        """The schema of an event's data; where events have names, of one of the events that there are."""
        if not isinstance(chunk, dict):
            return self.of(chunk)
        return {"anyOf": [self._event(name, kind) for name, kind in chunk.items()]}

    def _event(self, name: str, kind: Any) -> dict[str, Any]:
        title = "".join(word.capitalize() for word in name.replace("_", ".").split(".")) + "Event"
        properties = {"event": {"const": name}, "data": self.of(kind)}
        self.components[title] = {
            "title": title,
            "type": "object",
            "properties": properties,
            "required": list(properties),
        }
        return {"$ref": PREFIX + title}

    def _component(self, kind: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.components[self._references[kind]["$ref"].removeprefix(PREFIX)]
        return found

    @staticmethod
    def _complete(schema: dict[str, Any], info: inspect.StructType) -> None:
        """Every key of an answer is always there, also a constant one, but for those that are UNSET."""
        schema["required"] = [field.encode_name for field in info.fields if field.default is not msgspec.UNSET]
        for value in schema["properties"].values():
            value.pop("default", None)


def _types(operation: Operation) -> list[Any]:
    chunk = operation.chunk
    chunks = list(chunk.values()) if isinstance(chunk, dict) else [chunk]
    return [kind for kind in (operation.body, operation.answer, *chunks) if kind is not None]


def _structs(kind: Any) -> Iterator[tuple[Any, inspect.StructType]]:
    """The struct `kind` and all those within it."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType), kind
    yield kind, info
    for inner in _inner(info):
        yield inner.cls, inner


def _inner(info: inspect.Type) -> Iterator[inspect.StructType]:
    match info:
        case inspect.StructType(fields=fields):
            parts = [field.type for field in fields]
        case inspect.UnionType(types=types):
            parts = list(types)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            parts = [item]
        case inspect.DictType(key_type=key, value_type=value):
            parts = [key, value]
        case inspect.Metadata(type=inner):
            parts = [inner]
        case _:
            parts = []
    for part in parts:
        if isinstance(part, inspect.StructType):
            yield part
        yield from _inner(part)
