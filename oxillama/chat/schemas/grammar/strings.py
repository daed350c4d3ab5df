"""Strings with lengths, patterns and exceptions as terminals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from oxillama.chat.schemas.parts import Strings
from oxillama.chat.schemas.pattern import CHAR, PatternError, quoted_pattern, spelled_text

if TYPE_CHECKING:
    from oxillama.chat.schemas.grammar.context import Context

MOST_CHARACTERS = 100_000


def expression(context: Context, strings: Strings, excluded: Iterable[str] = ()) -> str:
    """The expression, over the spelling with its quotes, for strings that are none of the excluded ones.

    Patterns that have no expression are refused.
    """
    found: list[str] = []
    missing: list[str] = []
    for kept, patterns in ((found, strings.found), (missing, strings.missing)):
        for pattern, place in patterns:
            keyword = "pattern" if place.schema.get("pattern") == pattern else "format"
            try:
                kept.append(f'"{quoted_pattern(pattern)}"')
            except PatternError as error:
                context.expander.refuse(place.error(keyword, str(error)))
    shortest, longest = strings.shortest, strings.longest
    if shortest or longest is not None or not found:
        if max(shortest, longest or 0) > MOST_CHARACTERS:
            shortest = min(shortest, MOST_CHARACTERS)
            longest = None if longest is None else min(longest, MOST_CHARACTERS)
        count = "*" if not shortest and longest is None else f"{{{shortest},{'' if longest is None else longest}}}"
        found.insert(0, f'"{CHAR}{count}"')
    missing += [f'"{spelled_text(text)}"' for text in excluded]
    parts = [f"/{one}/" for one in dict.fromkeys(found)]
    if missing:
        parts.append(f"~/{'|'.join(dict.fromkeys(missing))}/")
    return " & ".join(parts)


def string_symbol(context: Context, strings: Strings, excluded: Iterable[str] = ()) -> str:
    """The terminal for strings."""
    return context.rules.terminal(expression(context, strings, excluded))
