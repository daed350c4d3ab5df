"""What a run of the suite has seen of the contract: endpoints, fields of requests and answers, events, error texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.contract.endpoints import ENDPOINTS, EVENTS, Endpoint
from tests.conformance.contract.errors import REFUSALS
from tests.conformance.contract.objects import Schema

Seen = tuple[str, str]


def fields_of(schema: Schema, above: str = "") -> Iterator[str]:
    """The paths of all keys that a schema names; items of an array have the path of the array."""
    for choice in schema.get("anyOf", ()):
        yield from fields_of(choice, above)
    if "items" in schema:
        yield from fields_of(schema["items"], above)
    for name, value in schema.get("properties", {}).items():
        path = f"{above}.{name}" if above else name
        yield path
        yield from fields_of(value, path)


def paths_in(value: Any, above: str = "") -> Iterator[str]:
    """The paths of all keys in a decoded answer."""
    if isinstance(value, list):
        for item in value:
            yield from paths_in(item, above)
    elif isinstance(value, dict):
        for name, member in value.items():
            path = f"{above}.{name}" if above else name
            yield path
            yield from paths_in(member, path)


@dataclass
class Coverage:
    """Each set holds pairs: the endpoint's (or event's) name and the field; errors are names of `REFUSALS`."""

    called: set[str] = field(default_factory=set)
    sent: set[Seen] = field(default_factory=set)
    answered: set[Seen] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    errors: set[str] = field(default_factory=set)

    def note(self, endpoint: Endpoint, sent: set[str], answer: Any) -> None:
        """A request that succeeded."""
        self.called.add(endpoint.name)
        self.sent |= {(endpoint.name, name) for name in sent}
        self.answered |= {(endpoint.name, path) for path in paths_in(answer)}

    def parts(self) -> list[tuple[str, set[Any], set[Any]]]:
        """Title, what there is, what was seen."""
        endpoints = {endpoint.name for endpoint in ENDPOINTS}
        requests = {(endpoint.name, name) for endpoint in ENDPOINTS for name in endpoint.fields}
        answers = {(e.name, path) for e in ENDPOINTS if e.answer is not None for path in fields_of(e.answer)}
        return [
            ("endpoints", endpoints, self.called),
            ("fields of requests", requests, self.sent),
            ("fields of answers", answers, self.answered),
            ("events", set(EVENTS), self.events),
            ("error texts", set(REFUSALS), self.errors),
        ]

    def lines(self) -> Iterator[str]:
        """The report: a line for each part, then what was not seen."""
        for title, known, seen in self.parts():
            yield f"{title}: {len(known & seen)} of {len(known)}"
            missing: dict[str, list[str]] = {}
            for one in sorted(known - seen):
                where, what = one if isinstance(one, tuple) else (one, "")
                missing.setdefault(where, []).append(what)
            for where, names in missing.items():
                yield f"  not seen: {where} {', '.join(filter(None, names))}".rstrip()
