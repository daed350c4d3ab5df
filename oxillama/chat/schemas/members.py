"""What keywords say of arrays and objects, and what their negations say: of one branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from oxillama.chat.schemas.document import Place, Resource
from oxillama.chat.schemas.keywords import count, inexpressible, step
from oxillama.chat.schemas.parts import Branch, Contained, Literal, Others, Some

if TYPE_CHECKING:
    from oxillama.chat.schemas.document import Document

NEVER = Literal(Place("", (), False, Resource("", False, "")))


def mapping(place: Place, keyword: str) -> Mapping[str, Any]:
    given = place.schema[keyword]
    if not isinstance(given, Mapping):
        raise place.error(keyword, "is not an object")
    return given


def names_of(place: Place, keyword: str, given: Any) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise place.error(keyword, "is not a list of names")
    return given


# --------------------------------------------------------------------------------------------------------- arrays


def _at_least(branch: Branch, n: int) -> Branch:
    return replace(branch, arrays=replace(branch.arrays, least=max(n, branch.arrays.least)))


def _at_most(branch: Branch, n: int) -> Branch:
    most = branch.arrays.most
    return replace(branch, arrays=replace(branch.arrays, most=n if most is None else min(n, most)))


@step("minItems", lambda d, p, b: [_at_most(b.only("array"), n - 1)] if (n := count(p, "minItems")) else [])
def _min_items(document: Document, place: Place, branch: Branch) -> Branch:
    return _at_least(branch, count(place, "minItems"))


@step("maxItems", lambda d, p, b: [_at_least(b.only("array"), count(p, "maxItems") + 1)])
def _max_items(document: Document, place: Place, branch: Branch) -> Branch:
    return _at_most(branch, count(place, "maxItems"))


def _prefix(document: Document, place: Place, keyword: str, branch: Branch) -> Branch:
    arrays = branch.arrays
    own = tuple((i, Literal(document.child(place, keyword, i))) for i in range(len(place.schema[keyword])))
    return replace(branch, arrays=replace(arrays, prefix=(*arrays.prefix, *own)))


def _not_prefix(document: Document, place: Place, keyword: str, branch: Branch) -> list[Branch]:
    found = []
    for i in range(len(place.schema[keyword])):
        one = _at_least(branch.only("array"), i + 1)
        item = (i, -Literal(document.child(place, keyword, i)))
        found.append(replace(one, arrays=replace(one.arrays, prefix=(*one.arrays.prefix, item))))
    return found


@step("prefixItems", lambda d, p, b: _not_prefix(d, p, "prefixItems", b))
def _prefix_items(document: Document, place: Place, branch: Branch) -> Branch:
    return _prefix(document, place, "prefixItems", branch)


def _rest(document: Document, place: Place, keyword: str, start: int, branch: Branch) -> Branch:
    arrays = branch.arrays
    own = (start, Literal(document.child(place, keyword)))
    return replace(branch, arrays=replace(arrays, rest=(*arrays.rest, own)))


def _with_contained(branch: Branch, contained: Contained) -> Branch:
    return replace(branch, arrays=replace(branch.arrays, contained=(*branch.arrays.contained, contained)))


def _not_rest(document: Document, place: Place, keyword: str, start: int, branch: Branch) -> list[Branch]:
    wrong = frozenset({-Literal(document.child(place, keyword))})
    return [_with_contained(branch.only("array"), Contained(start, wrong, 1, None))]


def _start(place: Place) -> int:
    prefix = place.schema.get("prefixItems")
    return len(prefix) if isinstance(prefix, list) else 0


def _not_items(document: Document, place: Place, branch: Branch) -> list[Branch]:
    if isinstance(place.schema["items"], list):
        return _not_prefix(document, place, "items", branch)
    return _not_rest(document, place, "items", _start(place), branch)


@step("items", _not_items)
def _items(document: Document, place: Place, branch: Branch) -> Branch:
    if isinstance(place.schema["items"], list):
        return _prefix(document, place, "items", branch)
    return _rest(document, place, "items", _start(place), branch)


def _not_additional_items(document: Document, place: Place, branch: Branch) -> list[Branch]:
    items = place.schema.get("items")
    return _not_rest(document, place, "additionalItems", len(items), branch) if isinstance(items, list) else []


@step("additionalItems", _not_additional_items)
def _additional_items(document: Document, place: Place, branch: Branch) -> Branch:
    items = place.schema.get("items")
    return _rest(document, place, "additionalItems", len(items), branch) if isinstance(items, list) else branch


def _contains_limits(place: Place) -> tuple[int, int | None]:
    least = count(place, "minContains") if "minContains" in place.schema else 1
    return least, count(place, "maxContains") if "maxContains" in place.schema else None


def _not_contains(document: Document, place: Place, branch: Branch) -> list[Branch]:
    least, most = _contains_limits(place)
    inner = frozenset({Literal(document.child(place, "contains"))})
    found = [Contained(0, inner, 0, least - 1)] if least else []
    if most is not None:
        found.append(Contained(0, inner, most + 1, None))
    return [_with_contained(branch.only("array"), one) for one in found]


@step("contains", _not_contains)
def _contains(document: Document, place: Place, branch: Branch) -> Branch:
    least, most = _contains_limits(place)
    if not least and most is None:
        return branch
    inner = frozenset({Literal(document.child(place, "contains"))})
    return _with_contained(branch, Contained(0, inner, least, most))


def _not_unique(document: Document, place: Place, branch: Branch) -> list[Branch]:
    if place.schema["uniqueItems"] is not True:
        return []
    return inexpressible("uniqueItems")(document, place, branch)


@step("uniqueItems", _not_unique)
def _unique_items(document: Document, place: Place, branch: Branch) -> Branch:
    if place.schema["uniqueItems"] is not True:
        return branch
    return replace(branch, arrays=replace(branch.arrays, unique=place))


# -------------------------------------------------------------------------------------------------------- objects


def _not_properties(document: Document, place: Place, branch: Branch) -> list[Branch]:
    found = []
    for name in mapping(place, "properties"):
        objects = branch.objects.require([name])
        member = (name, -Literal(document.child(place, "properties", name)))
        found.append(replace(branch.only("object"), objects=replace(objects, members=(*objects.members, member))))
    return found


@step("properties", _not_properties)
def _properties(document: Document, place: Place, branch: Branch) -> Branch:
    objects = branch.objects
    own = tuple((name, Literal(document.child(place, "properties", name))) for name in mapping(place, "properties"))
    return replace(branch, objects=replace(objects, members=(*objects.members, *own)))


def _with_some(branch: Branch, some: Some) -> Branch:
    branch = branch.only("object")
    return replace(branch, objects=replace(branch.objects, some=(*branch.objects.some, some)))


def _not_patterns(document: Document, place: Place, branch: Branch) -> list[Branch]:
    return [
        _with_some(branch, Some(found=frozenset({pattern}), value=frozenset({-inner})))
        for pattern in mapping(place, "patternProperties")
        if (inner := Literal(document.child(place, "patternProperties", pattern)))
    ]


@step("patternProperties", _not_patterns)
def _pattern_properties(document: Document, place: Place, branch: Branch) -> Branch:
    own = tuple(
        (pattern, Literal(document.child(place, "patternProperties", pattern)))
        for pattern in mapping(place, "patternProperties")
    )
    return replace(branch, objects=replace(branch.objects, matching=(*branch.objects.matching, *own)))


def _not_additional(document: Document, place: Place, branch: Branch) -> list[Branch]:
    schema = place.schema
    if schema["additionalProperties"] in (True, {}):
        return []
    inner = Literal(document.child(place, "additionalProperties"))
    names, patterns = (frozenset(schema.get(key) or ()) for key in ("properties", "patternProperties"))
    return [_with_some(branch, Some(names=names, patterns=patterns, value=frozenset({-inner})))]


@step("additionalProperties", _not_additional)
def _additional_properties(document: Document, place: Place, branch: Branch) -> Branch:
    schema = place.schema
    others = Others(
        frozenset(schema.get("properties") or ()),
        frozenset(schema.get("patternProperties") or ()),
        Literal(document.child(place, "additionalProperties")),
    )
    return replace(branch, objects=replace(branch.objects, others=(*branch.objects.others, others)))


def _not_property_names(document: Document, place: Place, branch: Branch) -> list[Branch]:
    return [_with_some(branch, Some(name=frozenset({-Literal(document.child(place, "propertyNames"))})))]


@step("propertyNames", _not_property_names)
def _property_names(document: Document, place: Place, branch: Branch) -> Branch:
    names = branch.objects.names | {Literal(document.child(place, "propertyNames"))}
    return replace(branch, objects=replace(branch.objects, names=names))


def _required_names(place: Place) -> list[str]:
    given = place.schema["required"]
    if isinstance(given, bool):  # draft 3, beside a property
        return []
    return names_of(place, "required", given)


def _absent(branch: Branch, name: str) -> Branch:
    objects = branch.objects
    return replace(branch, objects=replace(objects, members=(*objects.members, (name, NEVER))))


@step("required", lambda d, p, b: [_absent(b.only("object"), name) for name in _required_names(p)])
def _required(document: Document, place: Place, branch: Branch) -> Branch:
    return replace(branch, objects=branch.objects.require(_required_names(place)))


def _members(branch: Branch, least: int, most: int | None) -> Branch:
    objects = branch.objects
    if most is not None and objects.most is not None:
        most = min(most, objects.most)
    elif most is None:
        most = objects.most
    return replace(branch, objects=replace(objects, least=max(least, objects.least), most=most))


@step(
    "minProperties", lambda d, p, b: [_members(b.only("object"), 0, n - 1)] if (n := count(p, "minProperties")) else []
)
def _min_properties(document: Document, place: Place, branch: Branch) -> Branch:
    return _members(branch, count(place, "minProperties"), None)


@step("maxProperties", lambda d, p, b: [_members(b.only("object"), count(p, "maxProperties") + 1, None)])
def _max_properties(document: Document, place: Place, branch: Branch) -> Branch:
    return _members(branch, 0, count(place, "maxProperties"))
