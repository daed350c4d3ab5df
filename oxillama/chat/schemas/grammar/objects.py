"""Objects as rules: listed members in order, then the others, counted where the schema limits their number."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxillama.chat.schemas.grammar.rules import Repeat, Rule, Symbol, Text, TooLargeError
from oxillama.chat.schemas.grammar.strings import expression
from oxillama.chat.schemas.matching import found_in
from oxillama.chat.schemas.parts import Branch, Conditions, Objects
from oxillama.chat.schemas.pattern import PatternError, quoted_pattern, spelled_text
from oxillama.engine.api.constraint import DISTINCT

if TYPE_CHECKING:
    from oxillama.chat.schemas.grammar.context import Context

MOST_PATTERNS = 5
MOST_COUNTED = 4_000


@dataclass(frozen=True, slots=True)
class Member:
    """A listed member."""

    symbols: tuple[Symbol, ...]
    required: bool


def object_rules(context: Context, objects: Objects) -> list[tuple[Symbol, ...]]:
    """The alternatives for an object."""
    try:
        return _alternatives(context, objects)
    except PatternError as error:
        raise context.unsupported("patternProperties", str(error)) from None


def _alternatives(context: Context, objects: Objects) -> list[tuple[Symbol, ...]]:
    names = list(dict.fromkeys([*(name for name, _ in objects.members), *objects.required]))
    names += [name for others in objects.others for name in sorted(others.names) if name not in names]
    members = []
    for name in names:
        required = name in objects.required
        if not context.expander.holds(objects.names, name):
            if required:
                return []
            continue
        value = context.value(_conditions(objects, name))
        key = Text(json.dumps(name, ensure_ascii=False))
        members.append(Member((key, *context.colon, value), required))
    extra = _extra(context, objects, names)
    for pattern, place in objects.some:
        if extra is None and not any(found_in(pattern, name) for name in names):
            return []
        context.expander.refuse(place.error("patternProperties", "is negated, which a grammar cannot express"))
    least, most = objects.least, objects.most
    n_required = sum(member.required for member in members)
    if least <= n_required:
        least = 0
    # Members whose names are not listed may have the same one, and then count once.
    marker = (DISTINCT,) if least > n_required + 1 and extra is not None else ()
    chain = _Chain(context, members, extra, least, most)
    return [(*marker, *context.opening("{"), chain.start(), *context.closing("}"))]


def _conditions(objects: Objects, name: str) -> Conditions:
    """What the value of a member with this name must meet."""
    found = {condition for other, condition in objects.members if other == name}
    found |= {condition for pattern, condition in objects.matching if found_in(pattern, name)}
    for others in objects.others:
        if name not in others.names and not any(found_in(pattern, name) for pattern in others.patterns):
            found.add(others.condition)
    return frozenset(found)


class _Chain:
    """Rules for the listed members from one on, given whether some stand before and how many count."""

    def __init__(
        self, context: Context, members: Sequence[Member], extra: Rule | None, least: int, most: int | None
    ) -> None:
        self._context, self._members, self._extra = context, members, extra
        self._least, self._most = least, most
        self._cap = 0 if not least and most is None else max(least, most if most is not None else 0)
        self._known: dict[tuple[int, bool, int], Rule] = {}
        if self._cap * len(members) > MOST_COUNTED:
            raise TooLargeError

    def start(self) -> Rule:
        # From the last member on, so that Python does not go down the chain by recursion.
        for at in reversed(range(len(self._members) + 1)):
            for count in range(min(at, self._cap) + 1):
                for some in (False, True) if not self._cap else (count > 0,):
                    self._rule(at, some, count)
        return self._rule(0, False, 0)

    def _rule(self, at: int, some: bool, count: int) -> Rule:
        key = (at, some, count)
        if key not in self._known:
            made = self._known[key] = self._context.rules.rule()
            alternatives = self._end(some, count) if at == len(self._members) else self._next(at, some, count)
            self._context.rules.extend(made, alternatives)
        return self._known[key]

    def _next(self, at: int, some: bool, count: int) -> list[tuple[Symbol, ...]]:
        member = self._members[at]
        found: list[tuple[Symbol, ...]] = []
        if self._most is None or count < self._most:
            comma = self._context.comma if some else ()
            found.append((*comma, *member.symbols, self._rule(at + 1, True, min(count + 1, self._cap))))
        if not member.required:
            found.append((self._rule(at + 1, some, count),))
        return found

    def _end(self, some: bool, count: int) -> list[tuple[Symbol, ...]]:
        """The members that are not listed."""
        found: list[tuple[Symbol, ...]] = [()] if count >= self._least else []
        left = None if self._most is None else self._most - count
        if self._extra is not None and (left is None or left > 0):
            missing = max(0, self._least - count - 1)
            if left is not None and missing > left - 1:
                return found
            more = Repeat((*self._context.comma, self._extra), missing, None if left is None else left - 1)
            found.append((*(self._context.comma if some else ()), self._extra, more))
        return found


def _extra(context: Context, objects: Objects, listed: Sequence[str]) -> Rule | None:
    """The rule for a member that is not listed; None if there is none."""
    patterns = list(dict.fromkeys([pattern for pattern, _ in objects.matching]))
    patterns += [p for others in objects.others for p in sorted(others.patterns) if p not in patterns]
    if len(patterns) > MOST_PATTERNS:
        raise context.unsupported("patternProperties", f"has more than {MOST_PATTERNS} patterns")
    groups: dict[Conditions, list[tuple[bool, ...]]] = {}
    for matched in itertools.product((False, True), repeat=len(patterns)):
        found = {p for p, hit in zip(patterns, matched, strict=True) if hit}
        own = {condition for pattern, condition in objects.matching if pattern in found}
        own |= {others.condition for others in objects.others if not others.patterns & found}
        groups.setdefault(frozenset(own), []).append(matched)
    alternatives = []
    for conditions, matches in groups.items():
        if not any(branch.types for branch in context.expander.branches(conditions)):
            continue
        for key in _keys(context, objects, listed, patterns, matches):
            alternatives.append((key, *context.colon, context.value(conditions)))
    return context.rules.rule(alternatives) if alternatives else None


def _keys(
    context: Context, objects: Objects, listed: Sequence[str], patterns: list[str], matches: list[tuple[bool, ...]]
) -> list[str]:
    """Terminals for the names of members that match the patterns as one of `matches` says, and are not listed."""
    quoted = [f'"{quoted_pattern(pattern)}"' for pattern in patterns]
    found = []
    for branch in context.expander.branches(objects.names) if objects.names else [Branch()]:
        if branch.values is not None:
            names = [name for name in branch.values if isinstance(name, str) and name not in listed]
            found += _listed_keys(context, objects, names, patterns, matches)
        elif "string" in branch.types:
            excluded = [*listed, *(name for name, _ in branch.excluded if isinstance(name, str))]
            base = expression(context, branch.strings, excluded)
            for matched in [()] if len(matches) == 1 << len(patterns) else matches:
                tests = [f"/{q}/" if hit else f"~/{q}/" for q, hit in zip(quoted, matched, strict=False)]
                found.append(context.rules.terminal(" & ".join([base, *tests])))
    return found


def _listed_keys(
    context: Context, objects: Objects, names: list[str], patterns: list[str], matches: list[tuple[bool, ...]]
) -> list[str]:
    """Terminals for names that `propertyNames` lists."""
    kept = [
        f'"{spelled_text(name)}"'
        for name in names
        if context.expander.holds(objects.names, name) and tuple(found_in(p, name) for p in patterns) in matches
    ]
    return [context.rules.terminal(f"/{'|'.join(kept)}/")] if kept else []
