"""What a value of each type must be: conjunctions of keywords, ready to be written as grammar rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import lcm
from typing import Any

from oxillama.chat.schemas.document import Place
from oxillama.chat.schemas.matching import MOST_PATTERNS, found_in
from oxillama.chat.schemas.pattern import PatternError
from oxillama.chat.schemas.values import TYPES

ALL_TYPES = frozenset(TYPES)


@dataclass(frozen=True, slots=True)
class Literal:
    """A schema that a value matches, or does not."""

    place: Place
    positive: bool = True

    def __neg__(self) -> Literal:
        return Literal(self.place, not self.positive)


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of these literals holds."""

    literals: frozenset[Literal]


Condition = Literal | Either
Conditions = frozenset[Condition]
"""What must hold for one value, all together."""


@dataclass(frozen=True, slots=True)
class Numbers:
    low: Fraction | None = None
    low_open: bool = False
    high: Fraction | None = None
    high_open: bool = False
    whole: bool = False  # only integers
    broken: bool = False  # no integers
    multiple: Fraction | None = None

    def above(self, low: Fraction, *, is_open: bool) -> Numbers:
        if self.low is not None and (self.low, self.low_open) >= (low, is_open):
            return self
        return replace(self, low=low, low_open=is_open)

    def below(self, high: Fraction, *, is_open: bool) -> Numbers:
        if self.high is not None and (self.high, not self.high_open) <= (high, not is_open):
            return self
        return replace(self, high=high, high_open=is_open)

    def times(self, factor: Fraction) -> Numbers:
        known = self.multiple
        if known is not None:  # the least common multiple of two fractions
            common = lcm(known.denominator, factor.denominator)
            factor = Fraction(lcm(int(known * common), int(factor * common)), common)
        return replace(self, multiple=factor)

    @property
    def empty(self) -> bool:
        if self.whole and self.broken:
            return True
        if self.low is None or self.high is None:
            return False
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))


@dataclass(frozen=True, slots=True)
class Strings:
    """shortest, longest: characters. found, missing: patterns, each with the place that errors name."""

    shortest: int = 0
    longest: int | None = None
    found: tuple[tuple[str, Place], ...] = ()
    missing: tuple[tuple[str, Place], ...] = ()

    @property
    def empty(self) -> bool:
        if self.longest is not None and self.shortest > self.longest:
            return True
        return not {pattern for pattern, _ in self.found}.isdisjoint(pattern for pattern, _ in self.missing)


@dataclass(frozen=True, slots=True)
class Contained:
    """Of the items from `start` on, at least `least` and at most `most` match the conditions."""

    start: int
    conditions: Conditions
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Arrays:
    """prefix: conditions of single items by index. rest: conditions of all items from an index on. unique: the place
    that asks for different items."""

    prefix: tuple[tuple[int, Condition], ...] = ()
    rest: tuple[tuple[int, Condition], ...] = ()
    least: int = 0
    most: int | None = None
    contained: tuple[Contained, ...] = ()
    unique: Place | None = None

    def at(self, index: int) -> Conditions:
        """The conditions of the item with this index."""
        single = [condition for i, condition in self.prefix if i == index]
        return frozenset([*single, *(condition for start, condition in self.rest if index >= start)])

    @property
    def empty(self) -> bool:
        return self.most is not None and self.least > self.most


@dataclass(frozen=True, slots=True)
class Others:
    """A condition of all members but those with these names, and those in whose names these patterns are found."""

    names: frozenset[str]
    patterns: frozenset[str]
    condition: Condition


@dataclass(frozen=True, slots=True)
class Some:
    """At least one member has none of these names, none of these patterns and all of those `found` in its name, a name
    that meets its conditions, and a value that does."""

    names: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    found: frozenset[str] = frozenset()
    name: Conditions = frozenset()
    value: Conditions = frozenset()

    def __or__(self, other: Some) -> Some:
        """One member that is both."""
        return Some(
            self.names | other.names,
            self.patterns | other.patterns,
            self.found | other.found,
            self.name | other.name,
            self.value | other.value,
        )


@dataclass(frozen=True, slots=True)
class Objects:
    """members: (name, condition) in the order in which the schema lists them. matching: (pattern, condition). names:
    conditions of all names. some: members that must be there."""

    members: tuple[tuple[str, Condition], ...] = ()
    matching: tuple[tuple[str, Condition], ...] = ()
    others: tuple[Others, ...] = ()
    names: Conditions = frozenset()
    required: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None
    some: tuple[Some, ...] = ()

    @property
    def empty(self) -> bool:
        return self.most is not None and max(self.least, len(self.required)) > self.most

    def patterns(self) -> list[str]:
        """Those that names of members are held against. Raises PatternError if they are too many for that."""
        found = dict.fromkeys(pattern for pattern, _ in self.matching)
        for patterns in (*(one.patterns for one in self.others), *(one.patterns for one in self.some)):
            found |= dict.fromkeys(sorted(patterns))
        if len(found) > MOST_PATTERNS:
            raise PatternError(f"has more than {MOST_PATTERNS} patterns")
        return list(found)

    def conditions(self, name: str) -> Conditions:
        """What the value of a member with this name must meet. Raises PatternError."""
        self.patterns()
        found = {condition for other, condition in self.members if other == name}
        found |= {condition for pattern, condition in self.matching if found_in(pattern, name)}
        for others in self.others:
            if name not in others.names and not any(found_in(pattern, name) for pattern in others.patterns):
                found.add(others.condition)
        return frozenset(found)

    def require(self, names: Iterable[str]) -> Objects:
        return replace(self, required=tuple(dict.fromkeys((*self.required, *names))))


@dataclass(frozen=True, slots=True)
class Branch:
    """One way to match: values of some types, each with its own conditions.

    values: only these, if not None. excluded: none of these.
    """

    types: frozenset[str] = ALL_TYPES
    numbers: Numbers = field(default_factory=Numbers)
    strings: Strings = field(default_factory=Strings)
    arrays: Arrays = field(default_factory=Arrays)
    objects: Objects = field(default_factory=Objects)
    values: tuple[Any, ...] | None = None
    excluded: tuple[tuple[Any, Place], ...] = ()

    def only(self, *types: str) -> Branch:
        return replace(self, types=self.types & frozenset(types))

    def settled(self) -> Branch:
        """Without the types of which no value is left, as far as bounds show that."""
        gone = {
            name
            for name, part in (
                ("number", self.numbers),
                ("string", self.strings),
                ("array", self.arrays),
                ("object", self.objects),
            )
            if part.empty
        }
        return replace(self, types=self.types - gone) if gone & self.types else self
