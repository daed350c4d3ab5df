"""The members of the JSON object of a call's arguments, for shapes that write them one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from oxillama.chat.values.literals import json_end
from oxillama.chat.values.quoting import well_formed

_SPACE = re.compile(r"[ \t\r\n]*+")


def members_of(arguments: str) -> list[tuple[str, str]]:
    """The members of a JSON object with their values' text, unchanged; none if it is no object.

    Decoding and encoding again would lose numbers that Python cannot hold.
    """
    try:
        return list(_members(arguments))
    except (ValueError, IndexError):
        return []


class Number(str):
    """A number as it was written."""

    __slots__ = ()


def decoded(value: str) -> Any:
    """The value of a JSON text, with numbers as they were written."""
    return json.loads(value, parse_int=Number, parse_float=Number)


def text_of(value: str) -> str:
    """The JSON text of a value; of a string, its text."""
    return well_formed(json.loads(value)) if value.startswith('"') else value


def _members(text: str) -> Iterator[tuple[str, str]]:
    begin = _skip(text, 0)
    if json_end(text, begin) is None or text[begin] != "{":
        return
    at = _skip(text, begin + 1)
    while text[at] != "}":
        end = _end(text, at)
        key = json.loads(text[at:end])
        at = _skip(text, _skip(text, end) + 1)
        end = _end(text, at)
        yield key, text[at:end]
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _end(text: str, at: int) -> int:
    end = json_end(text, at)
    assert end is not None  # the whole text is JSON
    return end


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()
