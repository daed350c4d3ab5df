"""Text as the inside of a JSON string."""

from __future__ import annotations

import json
import re

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_LONE = re.compile("[\ud800-\udfff]")


def fragment(text: str) -> str:
    """The text escaped for a JSON string, without quotes. Fragments of a text join to the fragment of the text."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def quoted(text: str) -> str:
    """The text as a JSON string. Surrogate pairs become the character, and surrogates alone U+FFFD."""
    return json.dumps(well_formed(text), ensure_ascii=False)


def well_formed(text: str) -> str:
    """The text without surrogates, which UTF-8 cannot encode."""
    if _LONE.search(text) is None:
        return text
    whole = _PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
    return _LONE.sub("\ufffd", whole)
