"""Turns msgspec's message about a wrong value into the API's: message, `param` and `code` as clients match on them."""

from __future__ import annotations

import re

from msgspec import inspect

from oxillama.server.wire.errors import APIError, bad_request
from oxillama.server.wire.fields import END
from oxillama.server.wire.place import ABSENT, find_place

_TYPE = re.compile(r"Expected `(?P<want>[^`]+)`(?:, got `(?P<got>[^`]+)`)?$")
_RANGE = re.compile(r"Expected `(?P<kind>int|float)` (?P<op><=|>=|<|>) (?P<bound>\S+)")
_LENGTH = re.compile(r"Expected `(?P<kind>str|array|object)` of length (?P<op><=|>=) (?P<bound>\d+)")
_PATTERN = re.compile(r"Expected `str` matching regex (?P<quote>['\"])(?P<pattern>.*)(?P=quote)$", re.DOTALL)
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
_JSON_TYPES = {str: "str", bool: "bool", int: "int", float: "float", list: "array", dict: "object", type(None): "null"}


def explain(message: str, body: bytes, kind: type) -> APIError:
    """The 400 for a ValidationError with this text, raised while decoding `body` as `kind`."""
    place = find_place(message, body, kind)
    what, path = place.what, place.path
    if place.of_key:
        return invalid_key(path, place.value, what)
    if place.kinds and all(map(_takes_only_nothing, place.kinds)):
        return unsupported_parameter(path)
    if missing := _MISSING.match(what):
        return missing_parameter(f"{path}.{missing['name']}" if path else missing["name"])
    if wrong := _TYPE.match(what):
        got = wrong["got"] or json_type(place.value)
        if got == "null" and path and not path.endswith("]"):
            return missing_parameter(path)  # null is "not given"
        return invalid_type(path, wrong["want"].split(" | "), got)
    if outside := _RANGE.match(what):
        return out_of_range(path, outside["kind"], outside["op"], outside["bound"], place.value)
    if length := _LENGTH.match(what):
        return wrong_length(path, length["kind"], length["op"], int(length["bound"]), place.value)
    if pattern := _PATTERN.match(what):
        wanted = f"Expected a string that matches '{_shown(pattern['pattern'])}'."
        return bad_request(f"Invalid '{path}': string does not match. {wanted}", param=path, code="invalid_value")
    if enum := _ENUM.match(what):
        choices = [str(v) for k in place.kinds if isinstance(k, inspect.LiteralType) for v in k.values]
        return invalid_value(path, enum["value"].strip("'"), list(dict.fromkeys(choices)))
    return bad_request(f"Invalid '{path}': {what}." if path else f"{what}.", param=path or None, code="invalid_value")


def invalid_key(path: str, key: object, what: str) -> APIError:
    """The 400 for a key of the mapping at `path`; what: msgspec's words about it."""
    shown = f" '{key[:40]}{'…' if len(key) > 40 else ''}'" if isinstance(key, str) else ""
    if length := _LENGTH.match(what):
        most = "at most" if length["op"] == "<=" else "at least"
        got = f", but got {len(key)}" if isinstance(key, str) else ""
        wanted = f"Expected {most} {length['bound']} characters{got}."
        code = "string_above_max_length" if length["op"] == "<=" else "string_below_min_length"
        return bad_request(f"Invalid key{shown} in '{path}': {wanted}", param=path, code=code)
    if pattern := _PATTERN.match(what):
        what = f"Expected a string that matches '{_shown(pattern['pattern'])}'"
    return bad_request(f"Invalid key{shown} in '{path}': {what}.", param=path, code="invalid_value")


def _shown(pattern: str) -> str:
    """A pattern as users should read it: without Python's quoting and the lookahead of `fields.END`."""
    return pattern.replace("\\\\", "\\").removesuffix(END.removeprefix("$"))


def _takes_only_nothing(kind: inspect.Type) -> bool:
    """Whether a type accepts only null and empty values, as the types of unsupported fields do."""
    return isinstance(kind, inspect.NoneType) or getattr(kind, "max_length", None) == 0


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


def out_of_range(path: str, kind: str, op: str, bound: object, value: object = ABSENT) -> APIError:
    """kind: `int` or `float`; op: the comparison the value failed, such as `<=`."""
    word, above = _KINDS[kind], op.startswith("<")
    side, short = ("above maximum", "above_max") if above else ("below minimum", "below_min")
    got = "" if value is ABSENT else f", but got {str(value)[:40]} instead"
    shown = str(bound).removesuffix(".0")
    message = f"Invalid '{path}': {word} {side} value. Expected a value {op} {shown}{got}."
    return bad_request(message, param=path, code=f"{word}_{short}_value")


def wrong_length(path: str, kind: str, op: str, bound: int, value: object = ABSENT) -> APIError:
    """kind: `str`, `array` or `object`; op: the comparison the length failed."""
    word, above = _KINDS[kind], op == "<="
    article = "an" if word[0] in "aeio" else "a"
    length = len(value) if isinstance(value, (str, list, dict)) else None
    if kind == "object":
        return _wrong_properties(path, above, bound, length)
    if not above and bound == 1 and length in (0, None):
        message = f"Invalid '{path}': empty {word}. Expected {article} {word} with minimum length 1."
        return bad_request(message, param=path, code=f"empty_{word}")
    side, short = ("too long", "above_max") if above else ("too short", "below_min")
    limit = "maximum" if above else "minimum"
    got = "" if length is None else f", but got {article} {word} with length {length} instead"
    message = f"Invalid '{path}': {word} {side}. Expected {article} {word} with {limit} length {bound}{got}."
    return bad_request(message, param=path, code=f"{word}_{short}_length")


def _wrong_properties(path: str, above: bool, bound: int, count: int | None) -> APIError:
    side, limit, short = ("too many", "at most", "above_max") if above else ("too few", "at least", "below_min")
    got = "" if count is None else f", but got an object with {count} properties instead"
    message = f"Invalid '{path}': {side} properties. Expected an object with {limit} {bound} properties{got}."
    return bad_request(message, param=path, code=f"object_{short}_properties")


def _listed(values: list[str]) -> str:
    quoted = [f"'{v}'" for v in values]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def json_type(value: object) -> str:
    """The JSON type of a decoded value, in msgspec's words."""
    return _JSON_TYPES.get(type(value), "object")


def unsupported_parameter(param: str, hint: str = "") -> APIError:
    """400 for an unsupported parameter that would change the result."""
    message = f"Unsupported parameter: '{param}' is not supported by this server.{' ' + hint if hint else ''}"
    return bad_request(message, param=param, code="unsupported_parameter")


def unsupported_value(param: str, value: object, only: str) -> APIError:
    """The same for one of the parameter's values."""
    message = f"Unsupported value: '{param}' does not support '{str(value)[:100]}'. Supported is: {only}."
    return bad_request(message, param=param, code="unsupported_value")


def choice_of(path: str, value: object, supported: list[str]) -> str:
    """`value`, which must be one of the strings `supported`."""
    if not isinstance(value, str):
        raise invalid_type(path, ["str"], json_type(value))
    if value not in supported:
        raise invalid_value(path, value, supported)
    return value
