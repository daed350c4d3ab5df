"""The wire format of a family that nobody has heard of, from what its template writes for calls."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from oxillama.chat.formats.detect.probe import (
    CALLED,
    IDS,
    KEY,
    OTHER,
    SECOND_KEY,
    SECOND_VALUE,
    VALUE,
    Replies,
    common_end,
    common_start,
    objects_in,
)
from oxillama.chat.formats.json import ARGUMENTS, ID, NAME, JsonCalls, NamedJson
from oxillama.chat.formats.literal import Pythonic
from oxillama.chat.formats.shape import CallShape
from oxillama.chat.formats.tagged import Tagged
from oxillama.chat.formats.wire import Family, Tags, WireFormat
from oxillama.chat.reply.events import Arguments, CallBegan, Content, Reasoning
from oxillama.chat.tools import Tool

_ARGUMENTS = {KEY: VALUE}


def guessed(replies: Replies, reasoning: tuple[Tags, ...]) -> Family | None:
    """The family whose replies these are. None: they have none of the shapes known here.

    What is returned reads the replies back to the calls that were made.
    """
    for tags in reasoning:
        empty = re.compile(rf"\s*{re.escape(tags.open)}\s*{re.escape(tags.close)}\s*")
        replies = replies.without(empty)
    for shape in (json_calls(replies), named(replies), pythonic(replies), tagged(replies)):
        if shape is not None:
            family = Family(name="found by probing", shape=shape, reasoning=reasoning)
            if reads_back(family, replies):
                return family
    return None


def reads_back(family: Family, replies: Replies) -> bool:
    """Whether the family's parser finds the calls that were made, and nothing else."""
    tools = [Tool(name=name, parameters={"type": "object"}) for name in (CALLED, OTHER)]
    for reply, number, n_arguments in replies.each():
        parser = WireFormat(family, None).parser(tools)
        events = [*parser.push(0, reply.encode()), *parser.end()]
        names = [event.name for event in events if isinstance(event, CallBegan)]
        text = "".join(event.text for event in events if isinstance(event, Arguments))
        written = "".join(event.text for event in events if isinstance(event, Content | Reasoning)).strip()
        pairs = text.count(VALUE) + text.count(SECOND_VALUE)
        if names != [CALLED, OTHER][:number] or pairs != n_arguments or written:
            return False
    return True


def json_calls(replies: Replies) -> CallShape | None:
    """Shapes J, JA and A1: each call is an object."""
    found = [(start, end, value) for start, end, value in objects_in(replies.one) if CALLED in str(value)]
    if len(found) != 1:
        return None
    start, end, value = found[0]
    keys = _keys(value)
    if keys is None:
        return None
    before, after = replies.one[:start], replies.one[end:]
    first = last = between = ""
    if replies.two is not None:
        places = list(objects_in(replies.two))
        if len(places) != 2:
            return None
        before, first, between, last, after = around(before, replies.two[places[0][1] : places[1][0]], after)
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
        one=replies.two is None,
        gap=_gap(before or first),
        special=_tokens(before + first + last + after),
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


def named(replies: Replies) -> CallShape | None:
    """Shape NJ: a name, and the object of the arguments after it."""
    one = replies.one
    found = [(start, end) for start, end, value in objects_in(one) if value == _ARGUMENTS]
    at = one.find(CALLED)
    if len(found) != 1 or not 0 <= at < found[0][0]:
        return None
    start, end = found[0]
    before, after = one[:at], one[end:]
    first = last = between = ""
    if replies.two is not None:
        two = replies.two
        ends = [place for _, place, value in objects_in(two) if value == _ARGUMENTS]
        other = two.find(OTHER)
        if len(ends) != 2 or other < ends[0]:
            return None
        before, first, between, last, after = around(before, two[ends[0] : other], after)
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
    return NamedJson(
        tuple(call),
        before=before,
        after=after,
        between=between,
        gap=_gap(before or first),
        markers=_tokens(before + "".join(call) + after),
        id_pattern="[a-zA-Z0-9_-]{1,40}",
    )


def pythonic(replies: Replies) -> CallShape | None:
    """Shape P: Python calls."""
    match = re.fullmatch(rf"(.*){CALLED}\({KEY}=(['\"]){VALUE}\2\)(.*)", replies.one, re.DOTALL)
    if match is None:
        return None
    calls, between = Tags(match[1], match[3]), ", "
    if replies.two is not None:
        found = re.search(rf"\)([^()]*){OTHER}\(", replies.two)
        between = found[1] if found is not None else between
    opener = calls.open.strip().removesuffix("[").rstrip()
    closer = calls.close.strip().removeprefix("]").lstrip()
    gap = _gap(calls.open)
    if not opener:
        return Pythonic(calls=calls, between=between, bare="[", gap=gap) if calls.open.strip() == "[" else None
    return Pythonic(calls=calls, between=between, opener=opener, closer=closer, gap=gap)


def tagged(replies: Replies) -> CallShape | None:
    """Shapes XE, XA and KV: an element for each argument."""
    one, pair = _parts(replies.one), _parts(replies.pair or "")
    if one is None or pair is None or pair.next is None:
        return None
    before, first, between, last, after = one.before, "", "", one.after, ""
    if replies.two is not None:
        other = replies.two.find(OTHER)
        value = replies.two.find(VALUE)
        if not 0 <= value < other:
            return None
        middle = replies.two[value + len(VALUE) : other]
        before, first, between, last, after = around(one.before, middle, one.after, starts="<")
    else:
        first, before = before, ""
    _, opening, _, closing, _ = around(one.name_to_key, pair.next, last, starts="<")
    own_line = one.key_to_value.endswith("\n") and closing.startswith("\n")
    attribute = opening.rstrip().endswith(("=", '"', "'"))
    wrap, start = _split(first)
    end, wrap_end = _split_end(last[len(closing) :]) if wrap else (last[len(closing) :], "")
    rest = one.name_to_key[: len(one.name_to_key) - len(opening)]
    return Tagged(
        name="KV" if not attribute else "XA" if "name=" in start else "XE",
        section=Tags(before, after),
        wrap=Tags(wrap, wrap_end),
        call=Tags(f"{start}{{name}}{rest}", end),
        parameter=Tags(f"{opening}{{key}}{one.key_to_value if attribute else ''}", closing),
        key_end="" if attribute else one.key_to_value,
        between=between,
        own_line=own_line,
        gap=_gap(before or first),
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    """What stands around the words of one call. next: between the first value and the second key, if there is one."""

    before: str
    name_to_key: str
    key_to_value: str
    next: str | None
    after: str


def _parts(reply: str) -> _Parts | None:
    match = re.fullmatch(
        rf"(.*?){CALLED}(.*?){KEY}(.*?){VALUE}(?:(.*?){SECOND_KEY}.*?{SECOND_VALUE})?(.*)", reply, re.DOTALL
    )
    return _Parts(match[1], match[2], match[3], match[4], match[5]) if match is not None else None


def _split(text: str) -> tuple[str, str]:
    """What stands around a call, and its own tag: the last one."""
    at = text.rfind("<")
    return (text[:at], text[at:]) if text.count("<") > 1 else ("", text)


def _split_end(text: str) -> tuple[str, str]:
    """The call's own closing tag, and what closes what stands around it."""
    at = text.rfind("</")
    own = text[:at].rstrip("\n")
    return (own, text[len(own) :]) if own else (text, "")


def _tokens(text: str) -> tuple[str, ...]:
    """What may be special tokens in a text."""
    return tuple(dict.fromkeys(re.findall(r"<[^<>\s]+>|\[/?[A-Z_]+\]", text)))


def _gap(text: str) -> int:
    """How many newlines a text begins with."""
    return len(text) - len(text.lstrip("\n"))


def around(before: str, middle: str, after: str, starts: str = "<[{\n") -> tuple[str, str, str, str, str]:
    """What stands before all calls, before each, between two, after each, and after all of them.

    before, after: what stands around one call alone. middle: what stands between two calls.
    starts: the characters with which markers begin.
    """
    first = common_end(before, middle)
    first = first[_first_edge(first, starts) :]
    last = common_start(after, middle[: len(middle) - len(first)])
    last = last[: _last_edge(last)] if last != after else last
    between = middle[len(last) : len(middle) - len(first)]
    return before[: len(before) - len(first)], first, between, last, after[len(last) :]


def _first_edge(text: str, starts: str) -> int:
    """Where the first whole marker of a text begins, the beginning of which is missing."""
    return min((at for at in (text.find(char) for char in starts) if at >= 0), default=len(text))


def _last_edge(text: str) -> int:
    """Where the last whole marker of a text ends, the end of which is missing."""
    return max(text.rfind(char) for char in ">]}\n") + 1
