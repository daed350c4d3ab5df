"""A conjunction of schemas as alternatives without connectives: `allOf`, `anyOf`, `oneOf`, `not`, `if`, references and
dependencies are multiplied out, with negations pushed down to the keywords.

Members and items keep their conditions as schemas, so nothing recursive is unfolded here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from oxillama.chat.schemas.document import SchemaError
from oxillama.chat.schemas.keywords import ASSERTIONS, Step
from oxillama.chat.schemas.members import NEVER
from oxillama.chat.schemas.parts import Branch, Condition, Conditions, Either, Literal, Others
from oxillama.chat.schemas.pattern import PatternError
from oxillama.chat.schemas.values import Checker
from oxillama.chat.schemas.void import is_void

if TYPE_CHECKING:
    from oxillama.chat.schemas.document import Document, Place

MOST_STEPS = 60_000
MOST_BRANCHES = 400
MOST_TOGETHER = 5
"""Alternatives of an `anyOf` beside `unevaluatedProperties`, all of whose subsets matter."""

_CONNECTIVES = frozenset(
    (
        "$ref",
        "$dynamicRef",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "dependentRequired",
        "dependentSchemas",
        "dependencies",
    )
)
ANNOTATIONS = frozenset(
    (
        "$anchor", "$comment", "$defs", "$dynamicAnchor", "$id", "$schema", "$vocabulary", "contentEncoding",
        "contentMediaType", "contentSchema", "default", "definitions", "deprecated", "description", "else", "example",
        "examples", "id", "maxContains", "minContains", "readOnly", "then", "title", "writeOnly",
    )
)  # fmt: skip
"""Keywords that restrict nothing by themselves."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What the schemas of one branch have looked at: members by name and pattern, items up to an index, and items that
    match conditions."""

    names: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    all_members: bool = False
    items: int = 0
    all_items: bool = False
    contained: frozenset[Condition] = frozenset()

    def __or__(self, other: Evaluated) -> Evaluated:
        return Evaluated(
            self.names | other.names,
            self.patterns | other.patterns,
            self.all_members or other.all_members,
            max(self.items, other.items),
            self.all_items or other.all_items,
            self.contained | other.contained,
        )


Way = tuple[Branch, Evaluated]
NOTHING = Evaluated()


class Expander:
    """Finds the branches of conditions in one document.

    lenient: what cannot be expressed is left out, as far as the rest admits no less for it; else it is an error.
    """

    def __init__(self, document: Document, *, lenient: bool = False) -> None:
        self.document = document
        self.lenient = lenient
        self.left_out: dict[tuple[str, str], None] = {}  # (keyword, path) of what is not enforced
        self.checker = Checker(document, self.refuse)
        self._steps = 0
        self._known: dict[Conditions, list[Branch]] = {}
        self._void: dict[Conditions, bool] = {}

    def branches(self, conditions: Conditions) -> list[Branch]:
        """The alternatives. Raises SchemaError for what has no such form, or too many alternatives."""
        known = self._known.get(conditions)
        if known is None:
            ways: list[Way] = [(Branch(), NOTHING)]
            for condition in sorted(conditions, key=_order):
                ways = self._all(ways, partial(self._apply, condition, within=(), tracked=False))
            known = self._known[conditions] = (
                list(dict.fromkeys(branch for branch, _ in ways)) if _hashable(ways) else [branch for branch, _ in ways]
            )
        return known

    def holds(self, conditions: Conditions, value: Any) -> bool:
        """Whether a value meets the conditions."""
        return all(self._holds(condition, value) for condition in conditions)

    def _holds(self, condition: Condition, value: Any) -> bool:
        if isinstance(condition, Either):
            return any(self._holds(literal, value) for literal in condition.literals)
        return self.checker.accepts(condition.place, value) is condition.positive

    def refuse(self, error: SchemaError) -> None:
        """Note what cannot be expressed, or raise it."""
        if not self.lenient:
            raise error
        self.left_out[error.keyword, error.path] = None

    # ---------------------------------------------------------------------------------------------------------------

    def _all(self, ways: Iterable[Way], step: Callable[[Way], list[Way]]) -> list[Way]:
        found: list[Way] = []
        for way in ways:
            self._spend("", 1 + len(way[0].objects.members) // 16)
            for branch, evaluated in step(way):
                branch = self._pruned(branch.settled())
                if branch.types and branch.values != ():
                    found.append((branch, evaluated))
        return found

    def _pruned(self, branch: Branch) -> Branch:
        """The branch without objects, if a member that must be there has no value. Tells most alternatives apart: they
        have a required member with other words, or one that the others do not know."""
        objects = branch.objects
        if "object" in branch.types and objects.required:
            try:
                self._spend("", len(objects.required) * len(objects.patterns()) // 8)
                if any(self._is_void(objects.conditions(name)) for name in objects.required):
                    return replace(branch, types=branch.types - {"object"})
            except PatternError:
                pass  # whoever writes the pattern says so
        return branch

    def _is_void(self, conditions: Conditions) -> bool:
        known = self._void.get(conditions)
        if known is None:
            known = self._void[conditions] = is_void(self.document, conditions)
        return known

    def _spend(self, path: str, steps: int = 1) -> None:
        self._steps += steps
        if self._steps > MOST_STEPS:
            raise SchemaError("", path, "has too many combinations of its alternatives")

    def _apply(self, condition: Condition, way: Way, within: tuple[Literal, ...], tracked: bool) -> list[Way]:
        """The ways to meet one more condition. within: those that are being expanded, for references in a circle."""
        if isinstance(condition, Either):
            return [
                more
                for one in sorted(condition.literals, key=_order)
                for more in self._apply(one, way, within, tracked)
            ]
        place, schema = condition.place, condition.place.schema
        self._spend(place.path)
        if condition in within:  # it says no more than itself
            return [way] if condition.positive else []
        if not isinstance(schema, Mapping):
            return [way] if (schema is not False) is condition.positive else []
        within = (*within, condition)
        return self._positive(place, way, within, tracked) if condition.positive else self._negative(place, way, within)

    def _positive(self, place: Place, way: Way, within: tuple[Literal, ...], tracked: bool) -> list[Way]:
        schema = place.schema
        unevaluated = [k for k in ("unevaluatedItems", "unevaluatedProperties") if k in schema]
        tracked = tracked or bool(unevaluated)
        branch, before = way
        ways: list[Way] = [(branch, NOTHING)]
        for keyword in schema:
            if keyword in _CONNECTIVES:
                ways = self._all(ways, partial(self._connected, place, keyword, within=within, tracked=tracked))
            elif keyword in ASSERTIONS:
                step = ASSERTIONS[keyword]
                ways = self._all(ways, partial(self._asserted, place, step))
            elif keyword not in ANNOTATIONS and keyword not in unevaluated:
                self._unknown(place, keyword)
        for keyword in unevaluated:
            ways = self._all(ways, partial(self._rest, place, keyword))
        if len(ways) > MOST_BRANCHES:
            raise place.error("", f"has more than {MOST_BRANCHES} combinations of its alternatives")
        return [(b, before | evaluated) for b, evaluated in ways]

    def _unknown(self, place: Place, keyword: str) -> None:
        """A keyword that the standard does not know is an annotation; one that asserts something must not be lost."""
        if keyword in ("$recursiveRef", "extends", "disallow", "divisibleBy"):
            self.refuse(place.error(keyword, "belongs to a draft that is not supported"))

    def _asserted(self, place: Place, step: Step, way: Way) -> list[Way]:
        branch = step.positive(self.document, place, way[0])
        return [(branch, way[1] | _seen(place, step.keyword, self.document))]

    def _rest(self, place: Place, keyword: str, way: Way) -> list[Way]:
        """What `unevaluatedProperties` and `unevaluatedItems` say, now that it is known what is left for them."""
        branch, seen = way
        condition = Literal(self.document.child(place, keyword))
        if keyword == "unevaluatedProperties":
            if seen.all_members:
                return [way]
            others = Others(seen.names, seen.patterns, condition)
            objects = replace(branch.objects, others=(*branch.objects.others, others))
            return [(replace(branch, objects=objects), replace(seen, all_members=True))]
        if seen.all_items:
            return [way]
        either: Condition = condition
        if seen.contained:
            literals = [
                one for c in (condition, *seen.contained) for one in (c.literals if isinstance(c, Either) else (c,))
            ]
            either = Either(frozenset(literals))
        arrays = replace(branch.arrays, rest=(*branch.arrays.rest, (seen.items, either)))
        return [(replace(branch, arrays=arrays), replace(seen, all_items=True))]

    def _connected(self, place: Place, keyword: str, way: Way, within: tuple[Literal, ...], tracked: bool) -> list[Way]:
        schema, child = place.schema, self.document.child

        def meet(way: Way, *conditions: Condition) -> list[Way]:
            ways = [way]
            for condition in conditions:
                ways = self._all(ways, partial(self._apply, condition, within=within, tracked=tracked))
            return ways

        if keyword in ("$ref", "$dynamicRef"):
            return meet(way, Literal(self.document.target(place, keyword)))
        if keyword in ("allOf", "anyOf", "oneOf"):
            if not isinstance(schema[keyword], list):
                raise place.error(keyword, "is not a list of schemas")
            options = [Literal(child(place, keyword, i)) for i in range(len(schema[keyword]))]
        if keyword == "allOf":
            return meet(way, *options)
        if keyword == "anyOf":
            if tracked and len(options) > 1:
                return self._subsets(place, options, way, meet)
            return [more for option in options for more in meet(way, option)]
        if keyword == "oneOf":
            return self._one_of(place, options, way, meet)
        if keyword == "not":
            negated = meet(way, -Literal(child(place, "not")))
            return [(branch, way[1]) for branch, _ in negated]  # what is negated has not looked at anything
        if keyword == "if":
            condition = Literal(child(place, "if"))
            then = [Literal(child(place, "then"))] if "then" in schema else []
            other = [Literal(child(place, "else"))] if "else" in schema else []
            if not then and not other and not tracked:
                return [way]
            return meet(way, condition, *then) + meet(way, -condition, *other)
        return self._dependent(place, keyword, way, meet)

    def _subsets(self, place: Place, options: list[Literal], way: Way, meet: Callable[..., list[Way]]) -> list[Way]:
        if len(options) > MOST_TOGETHER:
            raise place.error(
                "anyOf", f"has more than {MOST_TOGETHER} alternatives beside unevaluated members or items"
            )
        found = []
        for chosen in range(1, 1 << len(options)):
            found += meet(way, *(option for i, option in enumerate(options) if chosen >> i & 1))
        return found

    def _one_of(self, place: Place, options: list[Literal], way: Way, meet: Callable[..., list[Way]]) -> list[Way]:
        """Each option with the negation of those that it may overlap with."""
        found = []
        for i, option in enumerate(options):
            ways = meet(way, option)
            for j, other in enumerate(options):
                if i == j or not ways:
                    continue
                apart: list[Way] = []
                overlapping: list[Way] = []
                for one in ways:
                    (overlapping if meet(one, other) else apart).append(one)
                if not overlapping:
                    continue
                try:
                    ways = apart + [m for w in overlapping for m in meet(w, -other)]
                except SchemaError:
                    self._spend(place.path)  # raises if this was the reason
                    self.refuse(place.error("oneOf", f"has alternatives {i} and {j} that a grammar cannot tell apart"))
            found += ways
        return found

    def _dependent(self, place: Place, keyword: str, way: Way, meet: Callable[..., list[Way]]) -> list[Way]:
        ways = [way]
        for name, needed in place.schema[keyword].items():
            after = []
            for branch, seen in ways:
                after.append((_without(branch, name), seen))
                with_it = replace(branch.only("object"), objects=branch.objects.require([name]))
                if isinstance(needed, list):
                    after.append((replace(with_it, objects=with_it.objects.require(needed)), seen))
                else:
                    after += meet((with_it, seen), Literal(self.document.child(place, keyword, name)))
            ways = self._all(after, lambda w: [w])
        return ways

    # ------------------------------------------------------------------------------------------------------ negation

    def _negative(self, place: Place, way: Way, within: tuple[Literal, ...]) -> list[Way]:
        """The ways to violate a schema: those to violate one of its keywords."""
        found: list[Way] = []
        for keyword in place.schema:
            if keyword in _CONNECTIVES:
                found += self._disconnected(place, keyword, way, within)
            elif keyword in ASSERTIONS:
                found += [(branch, way[1]) for branch in ASSERTIONS[keyword].negative(self.document, place, way[0])]
            elif keyword in ("unevaluatedItems", "unevaluatedProperties"):
                raise place.error(keyword, "is negated, which a grammar cannot express")
            elif keyword not in ANNOTATIONS:
                self._unknown(place, keyword)
        return self._all(found, lambda w: [w])

    def _disconnected(self, place: Place, keyword: str, way: Way, within: tuple[Literal, ...]) -> list[Way]:
        schema, child = place.schema, self.document.child

        def meet(*conditions: Condition) -> list[Way]:
            ways = [way]
            for condition in conditions:
                ways = self._all(ways, partial(self._apply, condition, within=within, tracked=False))
            return ways

        if keyword in ("$ref", "$dynamicRef"):
            return meet(-Literal(self.document.target(place, keyword)))
        if keyword == "not":
            return meet(Literal(child(place, "not")))
        if keyword == "if":
            condition = Literal(child(place, "if"))
            found = meet(condition, -Literal(child(place, "then"))) if "then" in schema else []
            return found + (meet(-condition, -Literal(child(place, "else"))) if "else" in schema else [])
        if keyword.startswith("depend"):
            found = []
            for name, needed in schema[keyword].items():
                branch = replace(way[0].only("object"), objects=way[0].objects.require([name]))
                if isinstance(needed, list):
                    found += [(_without(branch, other), way[1]) for other in needed]
                else:
                    found += self._apply(-Literal(child(place, keyword, name)), (branch, way[1]), within, False)
            return found
        options = [Literal(child(place, keyword, i)) for i in range(len(schema[keyword]))]
        if keyword == "allOf":
            return [more for option in options for more in meet(-option)]
        none = meet(*(-option for option in options))
        if keyword == "anyOf":
            return none
        pairs = [meet(a, b) for i, a in enumerate(options) for b in options[:i]]
        return none + [more for pair in pairs for more in pair]


def _without(branch: Branch, name: str) -> Branch:
    """A branch whose objects do not have a member."""
    objects = branch.objects
    return replace(branch, objects=replace(objects, members=(*objects.members, (name, NEVER))))


def _seen(place: Place, keyword: str, document: Document) -> Evaluated:
    schema = place.schema
    if keyword == "properties":
        return Evaluated(names=frozenset(schema["properties"]))
    if keyword == "patternProperties":
        return Evaluated(patterns=frozenset(schema["patternProperties"]))
    if keyword == "additionalProperties":
        return Evaluated(all_members=True)
    if keyword == "prefixItems" or (keyword == "items" and isinstance(schema["items"], list)):
        return Evaluated(items=len(schema[keyword]))
    if keyword in ("items", "additionalItems"):
        return Evaluated(all_items=True)
    if keyword == "contains":
        return Evaluated(contained=frozenset({Literal(document.child(place, "contains"))}))
    return NOTHING


def _order(condition: Condition) -> Any:
    if isinstance(condition, Either):
        return (1, tuple(sorted(map(_order, condition.literals))))
    return (0, condition.place.path, condition.place.scope, condition.positive)


def _hashable(ways: list[Way]) -> bool:
    return all(branch.values is None and not branch.excluded for branch, _ in ways)
