"""Objects as rules: listed members in order, then the others, counted where the schema limits their number."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oxillama.chat.schemas.grammar.rules import Repeat, Rule, Symbol, Text, TooLargeError
from oxillama.chat.schemas.grammar.strings import expression
from oxillama.chat.schemas.matching import found_in
from oxillama.chat.schemas.members import NEVER
from oxillama.chat.schemas.parts import Branch, Conditions, Objects, Others, Some
from oxillama.chat.schemas.pattern import PatternError, quoted_pattern, spelled_text
from oxillama.engine.api.constraint import DISTINCT

if TYPE_CHECKING:
    from oxillama.chat.schemas.grammar.context import Context

MOST_PATTERNS = 5
MOST_COUNTED = 4_000
MOST_WITNESSES = 100
"""Ways to have members of which a schema only says that some must be there."""


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
    if not objects.some:
        return _written(context, objects, ())
    objects.patterns()  # not too many
    found: list[tuple[Symbol, ...]] = []
    for one, unlisted in _witnessed(context, objects):
        for groups in _ordered_groups(unlisted):
            found += _written(context, one, groups)
    return found


def _witnessed(context: Context, objects: Objects) -> list[tuple[Objects, tuple[Some, ...]]]:
    """The ways to have the members of `objects.some`: each is one of the listed members, or one of the others. Returns
    the object with the listed ones, and what is left for others."""
    ways: list[tuple[Objects, tuple[Some, ...]]] = [(replace(objects, some=()), ())]
    listed = _names(objects)
    for some in objects.some:
        fitting = [name for name in listed if _fits(context, some, name)]
        ways = [
            way
            for one, others in ways
            for way in (
                *((_with_member(one, name, some), others) for name in fitting),
                (one, (*others, some)),
            )
        ]
        if len(ways) > MOST_WITNESSES:
            reason = "is negated in a way that too many members may meet"
            raise context.unsupported("additionalProperties", reason)
    return ways


def _fits(context: Context, some: Some, name: str) -> bool:
    """Whether a member with this name may be one of `some`."""
    if name in some.names or any(found_in(pattern, name) for pattern in some.patterns):
        return False
    return all(found_in(pattern, name) for pattern in some.found) and context.expander.holds(some.name, name)


def _with_member(objects: Objects, name: str, some: Some) -> Objects:
    own = tuple((name, condition) for condition in sorted(some.value, key=repr))
    return replace(objects.require([name]), members=(*objects.members, *own))


def _ordered_groups(some: tuple[Some, ...]) -> list[tuple[Some, ...]]:
    """The orders of members that are together all of these; one member may be several of them."""
    if not some:
        return [()]
    first, *rest = some
    found: list[tuple[Some, ...]] = []
    for groups in _ordered_groups(tuple(rest)):
        found += [(*groups[:at], first, *groups[at:]) for at in range(len(groups) + 1)]
        found += [(*groups[:at], groups[at] | first, *groups[at + 1 :]) for at in range(len(groups))]
    return found


def _names(objects: Objects) -> list[str]:
    """The names that the schema lists, in its order."""
    names = list(dict.fromkeys([*(name for name, _ in objects.members), *objects.required]))
    return names + [name for others in objects.others for name in sorted(others.names) if name not in names]


def _written(context: Context, objects: Objects, some: tuple[Some, ...]) -> list[tuple[Symbol, ...]]:
    """The alternatives of an object. some: members that must be there in this order, none of which is listed."""
    names = _names(objects)
    members = []
    for name in names:
        required = name in objects.required
        if not context.expander.holds(objects.names, name):
            if required:
                return []
            continue
        value = context.value(objects.conditions(name))
        key = Text(json.dumps(name, ensure_ascii=False))
        members.append(Member((key, *context.colon, value), required))
    extra = _extra(context, objects, names)
    special = [_extra(context, _narrowed(objects, one), [*names, *sorted(one.names)]) for one in some]
    if some and (extra is None or None in special):
        return []
    n_required = sum(member.required for member in members)
    least = objects.least if objects.least > n_required else 0
    # Members whose names are not listed may have the same one, and then count once.
    marker = (DISTINCT,) if extra is not None and (some or least > n_required + 1) else ()
    chain = _Chain(context, members, extra, least, objects.most, [one for one in special if one is not None])
    return [(*marker, *context.opening("{"), chain.start(), *context.closing("}"))]


def _narrowed(objects: Objects, some: Some) -> Objects:
    """The object as if all its members that are not listed were one of `some`."""
    never = tuple((pattern, NEVER) for pattern in sorted(some.patterns))
    others = [Others(frozenset(), frozenset({pattern}), NEVER) for pattern in sorted(some.found)]
    others += [Others(frozenset(), frozenset(), condition) for condition in sorted(some.value, key=repr)]
    return replace(
        objects,
        matching=(*objects.matching, *never),
        others=(*objects.others, *others),
        names=objects.names | some.name,
    )


class _Chain:
    """Rules for the listed members from one on, given whether some stand before and how many count."""

    def __init__(
        self,
        context: Context,
        members: Sequence[Member],
        extra: Rule | None,
        least: int,
        most: int | None,
        special: Sequence[Rule] = (),
    ) -> None:
        """extra: a member that is not listed. special: those of them that must be there, in this order."""
        self._context, self._members, self._extra, self._special = context, members, extra, special
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
        if self._special:
            return self._end_with_special(some, count)
        found: list[tuple[Symbol, ...]] = [()] if count >= self._least else []
        left = None if self._most is None else self._most - count
        if self._extra is not None and (left is None or left > 0):
            missing = max(0, self._least - count - 1)
            if left is not None and missing > left - 1:
                return found
            more = Repeat((*self._context.comma, self._extra), missing, None if left is None else left - 1)
            found.append((*(self._context.comma if some else ()), self._extra, more))
        return found


    def _end_with_special(self, some: bool, count: int) -> list[tuple[Symbol, ...]]:
        """Those that must be there, with others around them; behind them, if members are counted."""
        assert self._extra is not None
        left = None if self._most is None else self._most - count - len(self._special)
        if left is not None and left < 0:
            return []
        missing = max(0, self._least - count - len(self._special))
        comma = self._context.comma
        before = Repeat((self._extra, *comma), missing, left)
        between = (Repeat((*comma, self._extra), 0, None),) if left is None and not missing else ()
        symbols: list[Symbol] = [*(comma if some else ()), before]
        for at, one in enumerate(self._special):
            symbols += [*(comma if at else ()), one, *between]
        return [tuple(symbols)]


def _extra(context: Context, objects: Objects, listed: Sequence[str]) -> Rule | None:
    """The rule for a member that is not listed; None if there is none."""
    patterns = objects.patterns()
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
