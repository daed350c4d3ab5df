"""Numbers of a range as JSON writes them."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

from oxillama.chat.schemas.parts import Numbers

if TYPE_CHECKING:
    from oxillama.chat.schemas.grammar.context import Context
    from oxillama.chat.schemas.grammar.rules import Symbol

INTEGER = r"/0|-?[1-9][0-9]*/"
NUMBER = r"/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?([0-9]{1,2}|[12][0-9]{2}))?/"
"""Without exponents beyond what a float64 holds."""
MOST_STATES = 10_000
"""Building these takes a tenth of a second."""
BROKEN = r"/-?(0|[1-9][0-9]{0,8})\.[0-9]{0,4}[1-9]/"
"""With a fraction that a float64 does not lose."""


def number_symbols(context: Context, numbers: Numbers) -> list[tuple[Symbol, ...]]:
    """The alternatives for numbers; bounds and multiples are left to llguidance."""
    if numbers.empty:
        return []
    bounded = numbers.low is not None or numbers.high is not None or numbers.multiple is not None
    if numbers.broken:
        return [(BROKEN,)] if not bounded else _broken_within(context, numbers)
    if not bounded:
        return [(INTEGER if numbers.whole else NUMBER,)]
    if numbers.multiple is not None:
        numbers = numbers.times(Fraction(1)) if numbers.whole else numbers  # an integer multiple of 3/2 is one of 3
        if _states(numbers.multiple or Fraction(1)) > MOST_STATES:
            context.expander.refuse(context.unsupported("multipleOf", "has too many digits"))
            return number_symbols(context, replace(numbers, multiple=None))
    return [(_json(numbers),)]


def _states(multiple: Fraction) -> int:
    """The states of llguidance's automaton for multiples: remainders in units of the last decimal place."""
    unit = 1
    while (multiple * unit).denominator != 1 and unit < MOST_STATES**2:
        unit *= 10
    return int(multiple * unit)


def _json(numbers: Numbers) -> str:
    schema: dict[str, object] = {"type": "integer" if numbers.whole else "number"}
    if numbers.low is not None:
        schema["exclusiveMinimum" if numbers.low_open else "minimum"] = _shown(numbers.low)
    if numbers.high is not None:
        schema["exclusiveMaximum" if numbers.high_open else "maximum"] = _shown(numbers.high)
    if numbers.multiple is not None:
        schema["multipleOf"] = _shown(numbers.multiple)
    schema["x-guidance"] = {"whitespace_flexible": False}
    return f"%json {json.dumps(schema)}"


def _broken_within(context: Context, numbers: Numbers) -> list[tuple[Symbol, ...]]:
    """Numbers that are no integers, within bounds: between each two integers of the range, if these are few."""
    low, high = numbers.low, numbers.high
    if numbers.multiple is not None:
        context.expander.refuse(context.unsupported("multipleOf", "excludes integers"))
    if low is None or high is None or high - low > 100:
        # Beyond some integer anything goes: its sign and first digits decide.
        edge = ceil(low) if low is not None else floor(high) if high is not None else 0
        if low is not None and high is None and edge >= 0:
            return [*_pieces(low, numbers.low_open, Fraction(edge), True), *_from(edge, "")]
        if high is not None and low is None and edge <= 0:
            return [*_pieces(Fraction(edge), True, high, numbers.high_open), *_from(-edge, "-")]
        if low is not None and high is None:
            return [*_pieces(low, numbers.low_open, Fraction(0), True), *_from(0, "")]
        if high is not None and low is None:
            return [*_pieces(Fraction(0), True, high, numbers.high_open), *_from(0, "-")]
        context.expander.refuse(context.unsupported("type", "excludes integers of a wide range"))
        return []
    return _pieces(low, numbers.low_open, high, numbers.high_open)


def _pieces(low: Fraction, low_open: bool, high: Fraction, high_open: bool) -> list[tuple[Symbol, ...]]:
    """Numbers between neighbouring integers."""
    found: list[tuple[Symbol, ...]] = []
    for whole in range(floor(low), ceil(high)):
        bounds = Numbers().above(low, is_open=low_open).below(high, is_open=high_open)
        bounds = bounds.above(Fraction(whole), is_open=True).below(Fraction(whole + 1), is_open=True)
        if not bounds.empty:
            found.append((_json(bounds),))
    return found


def _from(edge: int, sign: str) -> list[tuple[Symbol, ...]]:
    """Numbers with a fraction whose integer part, without its sign, is at least `edge`."""
    whole = json.dumps(
        {"type": "integer", "minimum": edge, "maximum": max(edge, 10**9), "x-guidance": {"whitespace_flexible": False}}
    )
    return [(*([f'"{sign}"'] if sign else []), f"%json {whole}", r"/\.[0-9]{0,4}[1-9]/")]


def _shown(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)
