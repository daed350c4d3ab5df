"""The text between two tags as a JSON value.

Tagged formats write strings without quotes, so the text alone does not say what it is: `5` may be a number or a string.
The tool's schema decides.
"""

from __future__ import annotations

import re

from oxillama.chat.values.kinds import ARRAY, BOOLEAN, INTEGER, NULL, NUMBER, OBJECT, STRING, Kinds
from oxillama.chat.values.literals import WORDS, LiteralError, Literals, json_end
from oxillama.chat.values.quoting import quoted

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.0+)?")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_CONTAINERS = {"{": OBJECT, "[": ARRAY}


def tagged_value(text: str, kinds: Kinds | None) -> str:
    """The JSON text of a tag's text. kinds: the types that the schema allows; None: unknown.

    Types are tried from the narrowest to the widest, each only if it is allowed and the whole text is such a value.
    Text that is none of them is a string. Of a parameter without known type, only objects and arrays are not strings.
    """
    bare = text.strip()
    if kinds is None:
        kinds = frozenset((OBJECT, ARRAY, STRING))
    return _other_than_string(bare, kinds) or quoted(text)


def json_of(text: str) -> str:
    """The JSON text of text that says it is JSON; a string if it is not, nearly."""
    bare = text.strip()
    word = WORDS.get(bare)
    if word is not None or _NUMBER.fullmatch(bare):
        return word or bare
    return whole_json(bare) or quoted(text)


def whole_json(bare: str) -> str | None:
    """JSON text unchanged; nearly JSON or a Python literal as JSON; else None."""
    if json_end(bare, 0) == len(bare):
        return bare
    try:
        return Literals(bare).whole()
    except LiteralError:
        return None


def _other_than_string(bare: str, kinds: Kinds) -> str | None:
    word = WORDS.get(bare)
    if word is not None:
        return word if (NULL if word == "null" else BOOLEAN) in kinds else None
    if INTEGER in kinds and (found := _INTEGER.fullmatch(bare)):
        return bare.partition(".")[0] if found[1] else bare
    if NUMBER in kinds and _NUMBER.fullmatch(bare):
        return bare
    if _CONTAINERS.get(bare[:1]) in kinds:
        found_json = whole_json(bare)
        # `{1, 2}` of Python is a list.
        return found_json if found_json is not None and _CONTAINERS.get(found_json[0]) in kinds else None
    return None
