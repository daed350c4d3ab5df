"""From msgspec's words about a wrong value to the envelope's: message, `param` and `code` as clients match on them."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from oxillama.server.wire.errors import APIError, bad_request

LARGEST_SHOWN = 2**20  # bytes of body beyond which the wrong value is not looked up again to be shown

_AT = re.compile(r"(?P<what>.*?)(?: - at `(?:key in `)?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_TYPE = re.compile(r"Expected `(?P<want>[^`]+)`, got `(?P<got>[^`]+)`")
_RANGE = re.compile(r"Expected `(?P<kind>int|float)` (?P<op><=|>=|<|>) (?P<bound>\S+)")
_LENGTH = re.compile(r"Expected `(?P<kind>str|array|object)` of length (?P<op><=|>=) (?P<bound>\d+)")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
_ENUM = re.compile(r"Invalid (?:enum )?value (?P<value>.*)", re.DOTALL)

_WORDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a decimal",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_KINDS = {"int": "integer", "float": "decimal", "str": "string", "array": "array", "object": "object"}
_ABSENT = object()


def explain(message: str, body: bytes, kind: type) -> APIError:
    """The 400 for a ValidationError with this text, raised while decoding `body` as `kind`."""
    match = _AT.match(message)
    what, path = (match["what"], (match["path"] or "").removeprefix(".")) if match else (message, "")
    if missing := _MISSING.match(what):
        return missing_parameter(f"{path}.{missing['name']}" if path else missing["name"])
    if wrong := _TYPE.match(what):
        if wrong["got"] == "null" and path and not path.endswith("]"):
            return missing_parameter(path)  # null is "not given"
        return invalid_type(path, wrong["want"].split(" | "), wrong["got"])
    if outside := _RANGE.match(what):
        return out_of_range(path, outside["kind"], outside["op"], outside["bound"], _value_at(body, path))
    if length := _LENGTH.match(what):
        return wrong_length(path, length["kind"], length["op"], int(length["bound"]), _value_at(body, path))
    if enum := _ENUM.match(what):
        return invalid_value(path, enum["value"].strip("'"), _choices(msgspec.inspect.type_info(kind), path))
    return bad_request(f"Invalid '{path}': {what}." if path else f"{what}.", param=path or None, code="invalid_value")


def missing_parameter(path: str) -> APIError:
    return bad_request(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


def invalid_type(path: str, wanted: list[str], got: str) -> APIError:
    words = [_WORDS.get(w, f"a {w}") for w in wanted if w != "null"]
    expected = words[0] if len(words) == 1 else "one of " + " or ".join(words)
    found = _WORDS.get(got, got)
    if not path:
        return bad_request(f"The JSON body of your request must be {expected}, but it is {found}.", code="invalid_type")
    message = f"Invalid type for '{path}': expected {expected}, but got {found} instead."
    return bad_request(message, param=path, code="invalid_type")


def invalid_value(path: str, value: object, supported: list[str]) -> APIError:
    shown = str(value)[:100]
    message = f"Invalid value: '{shown}'." + (f" Supported values are: {_listed(supported)}." if supported else "")
    return bad_request(message, param=path, code="invalid_value")


def out_of_range(path: str, kind: str, op: str, bound: object, value: object = _ABSENT) -> APIError:
    """kind: `int` or `float`; op: the comparison the value failed, such as `<=`."""
    word, above = _KINDS[kind], op.startswith("<")
    side, short = ("above maximum", "above_max") if above else ("below minimum", "below_min")
    got = "" if value is _ABSENT else f", but got {str(value)[:40]} instead"
    shown = str(bound).removesuffix(".0")
    message = f"Invalid '{path}': {word} {side} value. Expected a value {op} {shown}{got}."
    return bad_request(message, param=path, code=f"{word}_{short}_value")


def wrong_length(path: str, kind: str, op: str, bound: int, value: object = _ABSENT) -> APIError:
    """kind: `str`, `array` or `object`; op: the comparison the length failed."""
    word, above = _KINDS[kind], op == "<="
    article = "an" if word[0] in "aeio" else "a"
    length = len(value) if isinstance(value, (str, list, dict)) else None
    if not above and bound == 1 and length in (0, None):
        message = f"Invalid '{path}': empty {word}. Expected {article} {word} with minimum length 1."
        return bad_request(message, param=path, code=f"empty_{word}")
    side, short = ("too long", "above_max") if above else ("too short", "below_min")
    limit = "maximum" if above else "minimum"
    got = "" if length is None else f", but got {article} {word} with length {length} instead"
    message = f"Invalid '{path}': {word} {side}. Expected {article} {word} with {limit} length {bound}{got}."
    return bad_request(message, param=path, code=f"{word}_{short}_length")


def _listed(values: list[str]) -> str:
    quoted = [f"'{v}'" for v in values]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _steps(path: str) -> list[str | int]:
    """`messages[0].role` as its steps; an index of a mapping (`[...]`) stays a word."""
    return [int(s) if s.isdigit() else s for s in re.findall(r"[^.\[\]]+|(?<=\[)\.\.\.(?=\])", path)]


def _value_at(body: bytes, path: str) -> object:
    """What stands at `path`; _ABSENT where it cannot be told."""
    if len(body) > LARGEST_SHOWN:
        return _ABSENT
    value: Any = msgspec.json.decode(body)
    try:
        for step in _steps(path):
            value = value[step]
    except (KeyError, IndexError, TypeError):
        return _ABSENT
    return value


def _choices(info: msgspec.inspect.Type, path: str) -> list[str]:
    """The values that a Literal at `path` allows."""
    kinds = [info]
    for step in _steps(path):
        kinds = [inner for kind in kinds for inner in _inside(kind, step)]
    flat = [member for kind in kinds for member in _members(kind)]
    return [str(v) for kind in flat if isinstance(kind, msgspec.inspect.LiteralType) for v in kind.values]


def _members(kind: msgspec.inspect.Type) -> list[msgspec.inspect.Type]:
    return list(kind.types) if isinstance(kind, msgspec.inspect.UnionType) else [kind]


def _inside(kind: msgspec.inspect.Type, step: str | int) -> list[msgspec.inspect.Type]:
    found: list[msgspec.inspect.Type] = []
    for member in _members(kind):
        if isinstance(member, msgspec.inspect.StructType):
            found += [f.type for f in member.fields if f.encode_name == step]
        elif isinstance(member, (msgspec.inspect.ListType, msgspec.inspect.VarTupleType)):
            found.append(member.item_type)
        elif isinstance(member, msgspec.inspect.DictType):
            found.append(member.value_type)
    return found
