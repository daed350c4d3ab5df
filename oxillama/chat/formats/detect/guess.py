"""The wire format of a family that nobody has heard of, from what its template writes for one call and for two."""

from __future__ import annotations

from typing import Any

from oxillama.chat.formats.detect.probe import CALLED, IDS, KEY, OTHER, VALUE, common_end, common_start, objects_in
from oxillama.chat.formats.json import ARGUMENTS, ID, NAME, JsonCalls, NamedJson
from oxillama.chat.formats.shape import Shape
from oxillama.chat.formats.wire import Family, Tags, WireFormat
from oxillama.chat.reply.events import Arguments, CallBegan
from oxillama.chat.tools import Tool

_ARGUMENTS = {KEY: VALUE}


def guessed(replies: dict[int, str], reasoning: tuple[Tags, ...]) -> Family | None:
    """The family whose replies these are, by number of calls. None: they have none of the shapes known here.

    What is returned reads the replies back to the calls that were made.
    """
    for shape in (_json_calls(replies), _named(replies)):
        if shape is not None:
            family = Family(name="found by probing", shape=shape, reasoning=reasoning)
            if reads_back(family, replies):
                return family
    return None


def reads_back(family: Family, replies: dict[int, str]) -> bool:
    """Whether the family's parser finds the calls that were made, and nothing else."""
    tools = [Tool(name=name, parameters={"type": "object"}) for name in (CALLED, OTHER)]
    for number, reply in replies.items():
        parser = WireFormat(family, None).parser(tools)
        events = [*parser.push(0, reply.encode()), *parser.end()]
        names = [event.name for event in events if isinstance(event, CallBegan)]
        text = "".join(event.text for event in events if isinstance(event, Arguments))
        said = [event for event in events if hasattr(event, "text") and not isinstance(event, Arguments)]
        written = "".join(event.text.strip() for event in said)
        if names != [CALLED, OTHER][:number] or text.count(KEY) != number or written:
            return False
    return True


def _json_calls(replies: dict[int, str]) -> Shape | None:
    """Shapes J, JA and A1: each call is an object."""
    found = [(start, end, value) for start, end, value in objects_in(replies[1]) if CALLED in str(value)]
    if len(found) != 1:
        return None
    start, end, value = found[0]
    keys = _keys(value)
    if keys is None:
        return None
    before, after = replies[1][:start], replies[1][end:]
    first = last = between = ""
    if 2 in replies:
        places = list(objects_in(replies[2]))
        if len(places) != 2:
            return None
        before, first, between, last, after = _around(before, replies[2][places[0][1] : places[1][0]], after)
    listed = before.rstrip().endswith("[") or first.rstrip().endswith("[")
    opener = (before + first).strip().removesuffix("[").rstrip()
    closer = (last + after).strip().removeprefix("]").lstrip()
    return JsonCalls(
        "A1" if keys.get("named_key") else "JA" if listed else "J",
        opener=opener,
        closer=closer,
        before=before,
        first=first,
        between=between,
        last=last,
        after=after,
        bare="" if opener else "[" if listed else "{",
        one=2 not in replies,
        gap=1 if (before or first).startswith("\n") else 0,
        **keys,
    )


def _keys(value: dict[str, Any]) -> dict[str, Any] | None:
    if value == {CALLED: _ARGUMENTS}:
        return {"named_key": True}
    by_value = {json_value: key for key, json_value in value.items() if isinstance(json_value, str)}
    arguments = next((key for key, held in value.items() if held == _ARGUMENTS), None)
    name = by_value.get(CALLED)
    if arguments is None or name is None:
        return None
    order = list(value)
    id_key = by_value.get(IDS[0])
    last = id_key is not None and order.index(id_key) > order.index(arguments)
    return {"name_key": name, "arguments_key": arguments, "id_key": id_key, "id_last": last}


def _named(replies: dict[int, str]) -> Shape | None:
    """Shape NJ: a name, and the object of the arguments after it."""
    one = replies[1]
    found = [(start, end) for start, end, value in objects_in(one) if value == _ARGUMENTS]
    at = one.find(CALLED)
    if len(found) != 1 or not 0 <= at < found[0][0]:
        return None
    start, end = found[0]
    before, after = one[:at], one[end:]
    first = last = between = ""
    if 2 in replies:
        two = replies[2]
        ends = [place for _, place, value in objects_in(two) if value == _ARGUMENTS]
        other = two.find(OTHER)
        if len(ends) != 2 or other < ends[0]:
            return None
        before, first, between, last, after = _around(before, two[ends[0] : other], after)
    else:
        first, before, last, after = before, "", after, ""
    call: list[str] = []
    for piece in (first, NAME, one[at + len(CALLED) : start], ARGUMENTS, last):
        if piece in (NAME, ARGUMENTS) or IDS[0] not in piece:
            call.append(piece)
            continue
        left, _, right = piece.partition(IDS[0])
        call += [left, ID, right]
    call = [piece for piece in call if piece]
    if not call[0].strip() or call[0] in (NAME, ID):
        return None
    return NamedJson(tuple(call), before=before, after=after, between=between, id_pattern="[a-zA-Z0-9_-]{1,40}")


def _around(before: str, middle: str, after: str) -> tuple[str, str, str, str, str]:
    """What stands before all calls, before each, between two, after each, and after all of them.

    before, after: what stands around one call alone. middle: what stands between two calls.
    """
    first = common_end(before, middle)
    first = first[_first_edge(first) :] if first != before else first
    last = common_start(after, middle[: len(middle) - len(first)])
    last = last[: _last_edge(last)] if last != after else last
    between = middle[len(last) : len(middle) - len(first)]
    return before[: len(before) - len(first)], first, between, last, after[len(last) :]


def _first_edge(text: str) -> int:
    """Where the first whole marker of a text begins, the beginning of which is missing."""
    return min((at for at in (text.find(char) for char in "<[{\n") if at >= 0), default=len(text))


def _last_edge(text: str) -> int:
    """Where the last whole marker of a text ends, the end of which is missing."""
    return max(text.rfind(char) for char in ">]}\n") + 1
