"""Arrays as rules: a chain over positions, which counts the items that must be contained."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from oxillama.chat.schemas.grammar.rules import Repeat, Rule, Symbol, TooLargeError
from oxillama.chat.schemas.parts import Arrays, Conditions, Contained, Either, Literal
from oxillama.chat.schemas.values import key_of
from oxillama.engine.api.constraint import DISTINCT

if TYPE_CHECKING:
    from oxillama.chat.schemas.grammar.context import Context

MOST_POSITIONS = 512
MOST_ITEMS = 100_000


def array_rules(context: Context, arrays: Arrays) -> list[tuple[Symbol, ...]]:
    """The alternatives for an array."""
    distinct = arrays.unique is not None and (arrays.most is None or arrays.most > 1)
    if arrays.unique is not None and distinct:
        known = _n_values(context, arrays)
        if known is not None and known < arrays.least:
            return []
        if _may_get_stuck(arrays):
            reason = "is not expressible beside items that depend on their place, of which several must be there"
            context.expander.refuse(arrays.unique.error("uniqueItems", reason))
            distinct = False
    items = _counted(context, arrays) if arrays.contained else _plain(context, arrays)
    array = (*context.opening("["), items, *context.closing("]"))
    return [(DISTINCT, *array) if distinct else array]


def _may_get_stuck(arrays: Arrays) -> bool:
    """Whether items that differ so far may leave none for a later place. The engine looks ahead to the end of an item,
    and where an array may end after each item, it ends there."""
    if arrays.contained:
        return arrays.least > 1 or any(one.least > 1 for one in arrays.contained)
    return arrays.least > 1 and _varied(arrays) > 0


def _varied(arrays: Arrays) -> int:
    """From which index on all items have the same conditions."""
    last = [index + 1 for index, _ in arrays.prefix] + [start for start, _ in arrays.rest]
    return max(last, default=0)


def _plain(context: Context, arrays: Arrays) -> Rule:
    least, most = arrays.least, arrays.most
    n = _varied(arrays)
    if most is not None:
        n = min(n, most)
    if n > MOST_POSITIONS or max(least, most or 0) > MOST_ITEMS:
        raise TooLargeError
    tail = context.value(arrays.at(n)) if most is None or most > n else None

    def rest(used: int) -> tuple[Symbol, ...]:
        """The items after the first `used` ones, which are all that differ."""
        if tail is None:
            return ()
        low = max(0, least - used)
        high = None if most is None else most - used
        if used:
            return (Repeat((*context.comma, tail), low, high),)
        following = Repeat((*context.comma, tail), max(0, low - 1), None if high is None else high - 1)
        one: tuple[Symbol, ...] = (tail, following)
        return one if low else (Repeat(one, 0, 1),)

    after = context.rules.rule([rest(n)])
    for index in reversed(range(n)):
        item = (*(context.comma if index else ()), context.value(arrays.at(index)), after)
        after = context.rules.rule([item] if index < least else [item, ()])
    return after


def _counted(context: Context, arrays: Arrays) -> Rule:
    """A rule for each position and numbers of items that were counted so far."""
    n = _varied(arrays)
    n = max([n, arrays.least, arrays.most or 0, *(one.start for one in arrays.contained)])
    if n > MOST_POSITIONS:
        raise TooLargeError
    known: dict[tuple[int, tuple[int, ...]], Rule] = {}
    waiting: list[tuple[int, tuple[int, ...]]] = []

    def rule(position: int, counts: tuple[int, ...]) -> Rule:
        key = (min(position, n + 1) if position else 0, counts)
        if key not in known:
            known[key] = context.rules.rule()
            waiting.append(key)
        return known[key]

    first = rule(0, (0,) * len(arrays.contained))
    while waiting:
        position, counts = waiting.pop()
        alternatives: list[tuple[Symbol, ...]] = []
        done = all(count >= one.least for count, one in zip(counts, arrays.contained, strict=True))
        if done and position >= arrays.least:
            alternatives.append(())
        if arrays.most is None or position < arrays.most:
            for chosen in itertools.product((False, True), repeat=len(arrays.contained)):
                item = _chosen(arrays, position, counts, chosen)
                if item is not None:
                    after = _after(arrays.contained, counts, chosen)
                    comma = context.comma if position else ()
                    alternatives.append((*comma, context.value(item), rule(position + 1, after)))
        context.rules.extend(known[position, counts], alternatives)
    return first


def _chosen(arrays: Arrays, position: int, counts: tuple[int, ...], chosen: tuple[bool, ...]) -> Conditions | None:
    """The conditions of an item that counts for the chosen ones; None if it need not be tried."""
    conditions = arrays.at(position)
    for one, count, counts_here in zip(arrays.contained, counts, chosen, strict=True):
        if position < one.start:
            if counts_here:
                return None
        elif counts_here:
            if (one.most is not None and count >= one.most) or (one.most is None and count >= one.least):
                return None
            conditions |= one.conditions
        elif one.most is not None:
            conditions |= {_negated(one.conditions)}
    return conditions


def _negated(conditions: Conditions) -> Either:
    found: set[Literal] = set()
    for condition in conditions:
        assert isinstance(condition, Literal)
        found.add(-condition)
    return Either(frozenset(found))


def _after(contained: tuple[Contained, ...], counts: tuple[int, ...], chosen: tuple[bool, ...]) -> tuple[int, ...]:
    return tuple(
        min(count + here, one.least if one.most is None else one.most)
        for one, count, here in zip(contained, counts, chosen, strict=True)
    )


def _n_values(context: Context, arrays: Arrays) -> int | None:
    """How many values items may have, if these are listed or words and the same at all places; None if not."""
    if _varied(arrays):
        return None
    conditions = arrays.at(0)
    found: set[str] = set()
    for branch in context.expander.branches(conditions):
        values = branch.values
        if values is None:
            if not branch.types <= {"null", "boolean"}:
                return None
            values = tuple(v for v in (None, False, True) if ("null" if v is None else "boolean") in branch.types)
        found.update(key_of(value) for value in values if context.expander.holds(conditions, value))
    return len(found)
