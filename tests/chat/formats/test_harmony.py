"""Replies in the harmony format."""

from __future__ import annotations

from typing import Any

import pytest

from oxillama.chat.conversation import ToolCall
from oxillama.chat.formats.families.harmony import FAMILIES
from oxillama.chat.formats.harmony import MARKERS
from oxillama.chat.formats.wire import WireFormat
from oxillama.chat.tools import ToolChoice
from tests.support.replies import WHOLE, Read, Specials, read_tokens, tools

TAIL = "<|end|><|start|>assistant"
NEXT = "<|end|><|start|>assistant"


def read(text: str, *, tail: str = TAIL, truncated: bool = False, choice: ToolChoice | None = None) -> Read:
    found = []
    for special in (MARKERS, ()):
        vocabulary = Specials(special)
        wire = WireFormat(FAMILIES[0], vocabulary)
        for cuts in (WHOLE, (), (3, 8, 21)):
            parser = wire.parser(tools("f", "g"), choice, prompt_tail=tail)
            found.append(read_tokens(parser, vocabulary.tokens(text, cuts), truncated))
    assert len({(one.reasoning, one.content, *one.calls, *one.complete) for one in found}) == 1
    return found[0]


F = ("f", {"a": 1})
BODY = '<|message|>{"a": 1}<|call|>'


@pytest.mark.parametrize(
    ("text", "reasoning", "content", "calls"),
    [
        ("<|channel|>final<|message|>Hi<|return|>", "", "Hi", []),
        (f"<|channel|>analysis<|message|>hm{NEXT}<|channel|>final<|message|>Hi<|return|>", "hm", "Hi", []),
        (f"<|channel|>analysis<|message|>hm{NEXT}<|channel|>commentary to=functions.f <|constrain|>json{BODY}", "hm",
         "", [F]),
        (f" to=functions.f<|channel|>commentary json{BODY}", "", "", [F]),
        (f" to=functions.f<|channel|>analysis{BODY}", "", "", [F]),
        (f" to=f<|channel|>commentary{BODY}", "", "", [F]),
        ("<|channel|>commentary to=functions.g<|message|><|call|>", "", "", [("g", {})]),
        (f"<|channel|>commentary<|message|>first{NEXT} to=functions.f<|channel|>commentary{BODY}", "", "first", [F]),
        ("<|channel|>commentary to=assistant<|channel|>final<|message|>Hi<|return|>", "", "Hi", []),
        (f"<|channel|>commentary<|channel|>commentary to=functions.f{BODY}", "", "", [F]),
        ("<|channel|>analysis<|message|>a<|channel|>final<|message|>b", "a", "b", []),
        ("<|channel|>analysis<|message|><|message|>a<|end|><|end|><|start|>assistant<|channel|>final<|message|>b", "a",
         "b", []),
        (f"<|channel|>final<|message|>a{NEXT}<|channel|>final<|message|>b", "", "a\n\nb", []),
        (' to=functions.other<|channel|>commentary<|message|>{"a": 1}<|call|>', "", '{"a": 1}', []),
        (" to=python<|channel|>analysis<|message|>print()<|call|>", "", "", []),
        (" to=functions.f<|channel|>commentary<|message|>no json<|call|>", "", "no json", []),
        (f"<|channel|>analysis<|message|>hm\n\nEnough.\n{NEXT}\n\n<|channel|>final<|message|>Hi", "hm\n\nEnough.", "Hi",
         []),
        (f"<|channel|>analysis<|message|>Enough.\n{NEXT}\n\nHi\n", "Enough.", "Hi\n", []),
        ("Hello there, you", "", "Hello there, you", []),
        ("Hello", "", "Hello", []),
        ("", "", "", []),
    ],
)  # fmt: skip
def test_messages_are_told_apart_by_their_headers(
    text: str, reasoning: str, content: str, calls: list[tuple[str, Any]]
) -> None:
    found = read(text)
    assert (found.reasoning, found.content, found.values) == (reasoning, content, calls)
    assert all(found.complete)


def test_a_prompt_may_end_within_a_message() -> None:
    assert read("hm<|end|>", tail=f"{TAIL}<|channel|>analysis<|message|>").reasoning == "hm"
    assert read("{}", tail=f"{TAIL}<|channel|>final<|message|>").content == "{}"


def test_a_call_that_is_cut_off_keeps_its_arguments_as_they_are() -> None:
    for arguments in ("", '{"a": "b'):
        found = read(f" to=functions.f<|channel|>commentary json<|message|>{arguments}", truncated=True)
        assert (found.calls, found.complete) == ([("f", arguments)], [False])


def test_calls_that_may_not_be_made_are_content_unless_there_is_nothing_else() -> None:
    none = ToolChoice(mode="none")
    call = f" to=functions.f<|channel|>commentary json{BODY}"
    assert read(call, choice=none).content == ""
    assert read(f"<|channel|>final<|message|>a{NEXT}{call}", choice=none).content == 'a\n\n{"a": 1}'


def test_written_calls_are_read_back() -> None:
    calls = [ToolCall(id="1", name=name, arguments='{"a": 1}') for name in ("f", "g")]
    text = WireFormat(FAMILIES[0], None).write(calls).text
    assert read(text).values == [F, ("g", {"a": 1})]
