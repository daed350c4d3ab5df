"""JSON schemas of the wire types. Each struct appears once, in `components`.

msgspec makes them from the types that decode the bodies, so bounds and required fields are those that are enforced.
Some types also accept values that are refused later with a special message. Such a field declares the accepted values
itself (`wire.fields`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, get_args, get_origin

import msgspec
from msgspec import inspect

from oxillama.server.generation.sampling import SamplingFields
from oxillama.server.wire.answer import Answer
from oxillama.server.wire.fields import ACCEPTS
from oxillama.server.wire.pagination import Page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oxillama.engine.api.sampling import SamplerSettings
    from oxillama.server.operation import Operation

PREFIX = "#/components/schemas/"


class Schemas:
    """The schemas of the bodies and answers of these operations, and of `others`.

    sampling: the served model's defaults for parameters that a request leaves out.
    """

    def __init__(self, operations: Iterable[Operation], *others: Any, sampling: SamplerSettings | None = None) -> None:
        named = [*others, *(kind for operation in operations for kind in _types(operation))]
        structs = {kind: info for kind in named for kind, info in _structs(kind)}
        references, self.components = msgspec.json.schema_components(structs, ref_template=PREFIX + "{name}")
        self._references: dict[Any, dict[str, Any]] = dict(zip(structs, references, strict=True))
        for kind in structs:
            if get_origin(kind) is Page:
                self._rename(kind, f"{get_args(kind)[0].__name__}Page")
        for kind, info in structs.items():
            schema = self._component(kind)
            cls = get_origin(info.cls) or info.cls
            if issubclass(cls, Answer):
                self._complete(schema, info)
                continue
            defaults = dict(getattr(cls, "DEFAULTS", {}))
            if sampling is not None and issubclass(cls, SamplingFields):
                defaults |= asdict(sampling)
            self._narrow(schema, info, defaults)

    def of(self, kind: Any) -> dict[str, Any]:
        """A reference to the schema of a struct."""
        return dict(self._references[kind])

    def of_events(self, chunk: Any) -> dict[str, Any]:
        """The schema of an event's data. If events have names: a union of all events."""
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

    def _rename(self, kind: Any, name: str) -> None:
        """Rename a generic struct that appears only once, so that its name has no brackets."""
        self.components[name] = self.components.pop(self._references[kind]["$ref"].removeprefix(PREFIX))
        self.components[name]["title"] = name
        self._references[kind] = {"$ref": PREFIX + name}

    def _component(self, kind: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.components[self._references[kind]["$ref"].removeprefix(PREFIX)]
        return found

    @staticmethod
    def _complete(schema: dict[str, Any], info: inspect.StructType) -> None:
        """Mark every key of an answer as required, constant ones included, except those that may be UNSET."""
        schema["required"] = [field.encode_name for field in info.fields if not _may_be_unset(field)]
        for value in schema["properties"].values():
            value.pop("default", None)

    @staticmethod
    def _narrow(schema: dict[str, Any], info: inspect.StructType, defaults: dict[str, Any]) -> None:
        """Replace a request's schemas by the accepted values, and null defaults by what an absent field means."""
        for field in info.fields:
            value = schema["properties"][field.encode_name]
            extra = (field.type.extra or {}) if isinstance(field.type, inspect.Metadata) else {}
            if ACCEPTS in extra:
                about = value.get("description")
                value.clear()
                value |= extra[ACCEPTS] | ({"description": about} if about else {})
            if value.get("default", ...) is None:
                del value["default"]
            if field.encode_name in defaults:
                value["default"] = defaults[field.encode_name]


def _may_be_unset(field: inspect.Field) -> bool:
    """Whether the default is UNSET, which msgspec does not show."""
    return not field.required and field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT


def _types(operation: Operation) -> list[Any]:
    chunk = operation.chunk
    chunks = list(chunk.values()) if isinstance(chunk, dict) else [chunk]
    return [kind for kind in (operation.body, operation.answer, *chunks) if kind is not None]


def _structs(kind: Any) -> Iterator[tuple[Any, inspect.StructType]]:
    """The struct `kind` and all those within it."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType), kind
    yield kind, info
    for inner in _inner(info, set()):
        yield inner.cls, inner


def _inner(info: inspect.Type, seen: set[int]) -> Iterator[inspect.StructType]:
    """The structs within `info`. seen: those that were entered, since a struct may be within itself."""
    if isinstance(info, inspect.StructType):
        if id(info) in seen:
            return
        seen.add(id(info))
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
        yield from _inner(part, seen)
