"""What each family's shape writes is read back, and what is broken in it loses nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oxillama.chat.formats.detect.rules import FAMILIES
from oxillama.chat.formats.harmony import MARKERS, Harmony
from oxillama.chat.formats.json import JsonCalls, NamedJson
from oxillama.chat.formats.wire import Family, WireFormat
from tests.support.replies import WHOLE, Read, Specials, read_tokens, single_tokens, tools
from tests.support.reply_values import calls, said, tool_calls

MINE = [name for name, family in FAMILIES.items() if isinstance(family.shape, JsonCalls | NamedJson | Harmony)]
NAMES = ("get_weather", "f")
few = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
WORDS = ("So ", "Action:", "functools", "to=", "[", "{", "```", ">>>")


def specials(family: Family, special: bool) -> Specials:
    if isinstance(family.shape, Harmony):
        return Specials(MARKERS if special else ())
    return Specials((), [text for text in single_tokens(family.texts()) if text[0] in "<["] if special else ())


def reply(family: Family, reasoning: str, content: str, written: str) -> str:
    """A whole reply in the family's way."""
    text = ""
    if reasoning:
        line = "" if isinstance(family.shape, Harmony) else "\n"
        text += f"{family.reasoning[0].open}{line}{reasoning}{line}{family.reasoning[0].close}{line}"
    if content:
        tags = family.answer[0] if family.answer else None
        text += tags.open + content + (tags.close or "\n" if tags else "") if tags and tags.open else content
    if isinstance(family.shape, Harmony):
        text += "<|end|><|start|>assistant" if content and written else ""
    elif content and written:
        text += "\n" * getattr(family.shape, "gap", 0)
    return text + written


def read(family: Family, vocabulary: Specials, text: str, cuts: tuple[int, ...]) -> Read:
    parser = WireFormat(family, vocabulary).parser(tools(*NAMES))
    return read_tokens(parser, vocabulary.tokens(text, cuts))


def check_round_trip(name: str, data: st.DataObject) -> None:
    family = FAMILIES[name]
    vocabulary = specials(family, data.draw(st.booleans()))
    most = 1 if family.shape.one else 3
    made = data.draw(calls(NAMES, most))
    markers = [text for text in (*family.texts(), *MARKERS) if text] + list(WORDS[1:])
    reasoning = data.draw(st.just("") | said(markers)) if family.reasoning else ""
    content = data.draw(st.just("") | said(markers))
    written = WireFormat(family, vocabulary).write(tool_calls(made)).text if made else ""
    if family.name == "Functionary 3.2" or (made and written[0] in "{["):
        reasoning, content = "", ""  # no text stands beside calls without an opener, or without its own header
    text = reply(family, reasoning, content, written)
    for cuts in (WHOLE, (), tuple(data.draw(st.lists(st.integers(0, 10**6), max_size=8))) or WHOLE):
        found = read(family, vocabulary, text, cuts)
        assert (found.reasoning, found.content.strip(), found.values) == (reasoning, content, made)
        assert all(found.complete)


@pytest.mark.parametrize("name", MINE)
@few
@given(st.data())
def test_what_a_shape_writes_is_read_back(name: str, data: st.DataObject) -> None:
    check_round_trip(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", MINE)
@many
@given(st.data())
def test_what_a_shape_writes_is_read_back_at_length(name: str, data: st.DataObject) -> None:
    check_round_trip(name, data)


@pytest.mark.parametrize("name", MINE)
@few
@given(st.data())
def test_broken_calls_lose_nothing(name: str, data: st.DataObject) -> None:
    """Markers dropped, doubled or out of order: no exception, the same at every cut, and each word is somewhere.

    Where brackets are out of order, a word may become a key of the call's own object, which is not shown.
    """
    family = FAMILIES[name]
    vocabulary = specials(family, data.draw(st.booleans()))
    first, second = {"city": "wordone", "days": ["wordtwo"]}, {"x": "wordthree"}
    made: list[tuple[str, dict[str, Any]]] = [("f", first), ("f", second)]
    pieces = pieces_of(family, WireFormat(family, vocabulary).write(tool_calls(made)).text)
    shown = True
    for _ in range(data.draw(st.integers(1, 3))):
        at, change = data.draw(st.integers(0, len(pieces) - 1)), data.draw(st.sampled_from(["drop", "double", "swap"]))
        shown = shown and pieces[at] not in list("[]{}")
        if change == "swap":
            other = data.draw(st.integers(0, len(pieces) - 1))
            shown = shown and not any("word" in pieces[each] or pieces[each] in list("[]{}") for each in (at, other))
            pieces[at], pieces[other] = pieces[other], pieces[at]
        else:
            pieces[at : at + 1] = [] if change == "drop" and "word" not in pieces[at] else [pieces[at]] * 2
    text = "Well. " + "".join(pieces)
    found = [read(family, vocabulary, text, cuts) for cuts in (WHOLE, (), (7, 30, 55))]
    assert len({(one.reasoning, one.content, *one.calls, *one.complete) for one in found}) == 1
    one = found[0]
    everything = "".join([one.reasoning, one.content, *one.ids, *(arguments for _, arguments in one.calls)])
    if shown and not isinstance(family.shape, Harmony):  # which hides what is said to others
        assert all(word in everything for word in ("Well", "wordone", "wordtwo", "wordthree"))


def pieces_of(family: Family, text: str) -> list[str]:
    """The text cut into markers, brackets and the rest."""
    markers = sorted((each for each in single_tokens([*family.texts(), "```json", "[", "]", "{", "}"])), key=len)
    return [piece for piece in re.split(f"({'|'.join(map(re.escape, reversed(markers)))})", text) if piece]
