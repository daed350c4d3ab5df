"""What keywords say of values of any type, numbers and strings, and what their negations say: of one branch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from oxillama.chat.schemas.document import Place
from oxillama.chat.schemas.formats import format_pattern
from oxillama.chat.schemas.parts import Branch
from oxillama.chat.schemas.values import TYPES, exact, key_of, type_of

if TYPE_CHECKING:
    from oxillama.chat.schemas.document import Document


MOST_VALUES = 10_000

Positive = Callable[["Document", Place, Branch], Branch]
Negative = Callable[["Document", Place, Branch], list[Branch]]


@dataclass(frozen=True, slots=True)
class Step:
    """How a keyword narrows a branch, and the branches in which it does not hold."""

    keyword: str
    positive: Positive
    negative: Negative


ASSERTIONS: dict[str, Step] = {}


def step(keyword: str, negative: Negative) -> Callable[[Positive], Positive]:
    def note(positive: Positive) -> Positive:
        ASSERTIONS[keyword] = Step(keyword, positive, negative)
        return positive

    return note


def inexpressible(keyword: str) -> Negative:
    def refuse(document: Document, place: Place, branch: Branch) -> list[Branch]:
        raise place.error(keyword, "is negated, which a grammar cannot express")

    return refuse


def count(place: Place, keyword: str) -> int:
    given = place.schema[keyword]
    if isinstance(given, float) and given == int(given):
        given = int(given)
    if type(given) is not int or given < 0:
        raise place.error(keyword, "is not a whole number of at least 0")
    return given


def _number(place: Place, keyword: str) -> Fraction:
    given = place.schema[keyword]
    if isinstance(given, bool) or not isinstance(given, int | float) or given != given or given in (1e400, -1e400):
        raise place.error(keyword, "is not a number")
    return exact(given)


# ------------------------------------------------------------------------------------------------------- any type


def _types(place: Place) -> tuple[set[str], bool]:
    """(the types, whether "integer" is among them)."""
    given = place.schema["type"]
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not all(name in (*TYPES, "integer") for name in names):
        raise place.error("type", f"is {str(given)[:60]!r}, which is not a type")
    return set(names) - {"integer"}, "integer" in names


def _not_type(document: Document, place: Place, branch: Branch) -> list[Branch]:
    types, whole = _types(place)
    left = branch.only(*(set(TYPES) - types))
    if whole and "number" not in types:
        left = replace(left, numbers=replace(left.numbers, broken=True))
    return [left]


@step("type", _not_type)
def _type(document: Document, place: Place, branch: Branch) -> Branch:
    types, whole = _types(place)
    if whole and "number" not in types:
        branch = replace(branch, numbers=replace(branch.numbers, whole=True))
        types = types | {"number"}
    return branch.only(*types)


def _one_of_values(branch: Branch, values: list[Any]) -> Branch:
    if branch.values is not None:
        known = set(map(key_of, branch.values))
        values = [value for value in values if key_of(value) in known]
    return replace(branch, values=tuple(values)).only(*map(type_of, values))


def _without_values(branch: Branch, values: list[Any], place: Place) -> list[Branch]:
    """Numbers are cut at the values; the others are noted."""
    kept = [branch]
    for value in values:
        if type_of(value) != "number":
            kept = [replace(one, excluded=(*one.excluded, (value, place))) for one in kept]
            continue
        cut: list[Branch] = []
        for one in kept:
            below = one.numbers.below(exact(value), is_open=True)
            above = one.numbers.above(exact(value), is_open=True)
            cut += [replace(one, numbers=below), replace(one.only("number"), numbers=above)]
        kept = [one for one in map(Branch.settled, cut) if one.types]
    return kept


def _values(place: Place) -> list[Any]:
    given = place.schema["enum"]
    if not isinstance(given, list):
        raise place.error("enum", "is not a list")
    if len(given) > MOST_VALUES:
        raise place.error("enum", f"has more than {MOST_VALUES} values")
    return given


@step("enum", lambda document, place, branch: _without_values(branch, _values(place), place))
def _enum(document: Document, place: Place, branch: Branch) -> Branch:
    return _one_of_values(branch, _values(place))


@step("const", lambda document, place, branch: _without_values(branch, [place.schema["const"]], place))
def _const(document: Document, place: Place, branch: Branch) -> Branch:
    return _one_of_values(branch, [place.schema["const"]])


# -------------------------------------------------------------------------------------------------------- numbers


def _bound(keyword: str, *, upper: bool, is_open: bool) -> None:
    def limits(place: Place) -> tuple[Fraction, bool] | None:
        given, other = place.schema[keyword], keyword.removeprefix("exclusive").lower()
        if isinstance(given, bool) and is_open:  # draft 4: a flag beside the other keyword
            return (_number(place, other), True) if given and other in place.schema else None
        return _number(place, keyword), is_open

    def narrowed(branch: Branch, limit: Fraction, upper: bool, is_open: bool) -> Branch:
        numbers = branch.numbers
        cut = numbers.below(limit, is_open=is_open) if upper else numbers.above(limit, is_open=is_open)
        return replace(branch, numbers=cut)

    def negative(document: Document, place: Place, branch: Branch) -> list[Branch]:
        found = limits(place)
        return [] if found is None else [narrowed(branch.only("number"), found[0], not upper, not found[1])]

    @step(keyword, negative)
    def positive(document: Document, place: Place, branch: Branch) -> Branch:
        found = limits(place)
        return branch if found is None else narrowed(branch, found[0], upper, found[1])


_bound("minimum", upper=False, is_open=False)
_bound("maximum", upper=True, is_open=False)
_bound("exclusiveMinimum", upper=False, is_open=True)
_bound("exclusiveMaximum", upper=True, is_open=True)


@step("multipleOf", inexpressible("multipleOf"))
def _multiple_of(document: Document, place: Place, branch: Branch) -> Branch:
    factor = _number(place, "multipleOf")
    if factor <= 0:
        raise place.error("multipleOf", "is not above 0")
    return replace(branch, numbers=branch.numbers.times(factor))


# -------------------------------------------------------------------------------------------------------- strings


def _longer(branch: Branch, n: int) -> Branch:
    strings = branch.strings
    return replace(branch, strings=replace(strings, shortest=max(n, strings.shortest)))


def _shorter(branch: Branch, n: int) -> Branch:
    strings = branch.strings
    return replace(branch, strings=replace(strings, longest=n if strings.longest is None else min(n, strings.longest)))


@step("minLength", lambda d, p, b: [_shorter(b.only("string"), n - 1)] if (n := count(p, "minLength")) else [])
def _min_length(document: Document, place: Place, branch: Branch) -> Branch:
    return _longer(branch, count(place, "minLength"))


@step("maxLength", lambda d, p, b: [_longer(b.only("string"), count(p, "maxLength") + 1)])
def _max_length(document: Document, place: Place, branch: Branch) -> Branch:
    return _shorter(branch, count(place, "maxLength"))


def _found(branch: Branch, pattern: str, place: Place) -> Branch:
    strings = branch.strings
    return replace(branch, strings=replace(strings, found=(*strings.found, (pattern, place))))


def _missing(branch: Branch, pattern: str, place: Place) -> list[Branch]:
    strings = branch.strings
    return [replace(branch.only("string"), strings=replace(strings, missing=(*strings.missing, (pattern, place))))]


def _pattern_of(place: Place) -> str:
    pattern = place.schema["pattern"]
    if not isinstance(pattern, str):
        raise place.error("pattern", "is not a text")
    return pattern


@step("pattern", lambda document, place, branch: _missing(branch, _pattern_of(place), place))
def _pattern(document: Document, place: Place, branch: Branch) -> Branch:
    return _found(branch, _pattern_of(place), place)


def _no_format(document: Document, place: Place, branch: Branch) -> list[Branch]:
    pattern = format_pattern(place.schema["format"])
    return [] if pattern is None else _missing(branch, pattern, place)


@step("format", _no_format)
def _format(document: Document, place: Place, branch: Branch) -> Branch:
    pattern = format_pattern(place.schema["format"])
    return branch if pattern is None else _found(branch, pattern, place)
