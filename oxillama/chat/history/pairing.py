"""Calls and their results: each result after its call, under ids that no two calls share."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from oxillama.chat.conversation import Message, ToolCall
from oxillama.chat.history.forms import Ids, short_id

_FUNCTION_ID = re.compile(r"functions\.\S+:\d+")


def paired(messages: Sequence[Message], ids: Ids = "any") -> list[Message]:
    """The conversation with results in the order of their calls, with the names of the called functions.

    Clients send results in any order, use an id again, or answer a call twice; templates look ids up. Several results
    under one id answer the calls of this id in their order, and further ones the last of them. A result without an id
    answers the first call that has no result. One with an unknown id stays as it is, after the others.
    """
    known = _Ids(ids)
    found: list[Message] = []
    left = deque(messages)
    while left:
        message = left.popleft()
        if not message.tool_calls:
            found.append(_orphan(message, ids) if message.role == "tool" else message)
            continue
        results = []
        while left and left[0].role == "tool":
            results.append(left.popleft())
        calls = tuple(replace(call, id=known.next(call)) for call in message.tool_calls)
        found.append(replace(message, tool_calls=calls))
        found += _answers(message.tool_calls, calls, results, ids)
    return found


def _answers(
    given: Sequence[ToolCall], calls: Sequence[ToolCall], results: Sequence[Message], ids: Ids
) -> list[Message]:
    """The results in the order of the calls. given: the calls with the ids that the results name."""
    answers: list[list[Message]] = [[] for _ in calls]
    places: dict[str, deque[int]] = {"": deque(range(len(calls)))}  # of the calls with an id; "": of all
    for at, call in enumerate(given):
        if call.id:
            places.setdefault(call.id, deque()).append(at)
    orphans = []
    for result in results:
        left = places.get(result.tool_call_id or "")
        if not left:
            orphans.append(_orphan(result, ids))
            continue
        while len(left) > 1 and answers[left[0]]:
            left.popleft()
        at = left[0]
        answers[at].append(replace(result, tool_call_id=calls[at].id, name=calls[at].name))
    return [*(answer for of_call in answers for answer in of_call), *orphans]


def _orphan(result: Message, ids: Ids) -> Message:
    call_id = result.tool_call_id or ""
    return replace(result, tool_call_id=short_id(call_id) if ids == "short" else call_id, name=result.name or "")


class _Ids:
    """Gives every call an id of its own, in the form that the template takes; the same in each rendering."""

    def __init__(self, form: Ids) -> None:
        self._form = form
        self._seen: set[str] = set()
        self._tried: dict[str, int] = {}  # up to which number an id is given away
        self._count = 0

    def next(self, call: ToolCall) -> str:
        wanted = call.id or "call"
        if self._form == "functions" and not _FUNCTION_ID.fullmatch(wanted):
            wanted = f"functions.{call.name}:{self._count}"
        self._count += 1
        found, n = wanted, self._tried.get(wanted, 1)
        while found in self._seen:
            n += 1
            found = f"{wanted}_{n}"
        self._tried[wanted] = n
        self._seen.add(found)
        return short_id(found) if self._form == "short" else found
