"""The judge of what grammars produce: the jsonschema package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema

from oxillama.chat.schemas.matching import found_in


def _found(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text, re.ASCII) is not None
    except re.error:  # a pattern of ECMA-262 that Python does not know
        return found_in(pattern, text)


def _pattern(judge: Any, pattern: str, value: Any, schema: Any) -> Iterator[Exception]:
    if isinstance(value, str) and not _found(pattern, value):
        yield jsonschema.ValidationError(f"{pattern!r} is not found in {value!r}")


def _pattern_properties(judge: Any, patterns: Any, value: Any, schema: Any) -> Iterator[Exception]:
    if isinstance(value, dict):
        for pattern, inner in patterns.items():
            for name in [name for name in value if _found(pattern, name)]:
                yield from judge.descend(value[name], inner, path=name, schema_path=pattern)


def _extended(base: Any) -> Any:
    own = {"pattern": _pattern, "patternProperties": _pattern_properties}
    return jsonschema.validators.extend(base, own)


_JUDGES = {
    cls.META_SCHEMA.get("$schema", cls.META_SCHEMA.get("id", "")).rstrip("#"): _extended(cls)
    for cls in (
        jsonschema.Draft4Validator,
        jsonschema.Draft6Validator,
        jsonschema.Draft7Validator,
        jsonschema.Draft201909Validator,
        jsonschema.Draft202012Validator,
    )
}
_LATEST = _extended(jsonschema.Draft202012Validator)


def is_valid(schema: Any, value: Any) -> bool:
    """Whether a value matches a schema, by the draft that the schema names, else the latest."""
    named = schema.get("$schema", "") if isinstance(schema, dict) else ""
    judge = _JUDGES.get(str(named).rstrip("#"), _LATEST)
    return bool(judge(schema).is_valid(value))
