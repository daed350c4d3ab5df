"""The contract of the parser of replies: reasoning and content apart, nothing held back without need, linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oxillama.chat.formats.detect.rules import FAMILIES
from oxillama.chat.formats.harmony import MARKERS
from oxillama.chat.formats.wire import WireFormat, prompt_tail
from oxillama.chat.reply.events import Arguments, Content, Reasoning
from oxillama.chat.tools import ToolChoice
from oxillama.text.prompt_text import PromptText
from tests.support.replies import WHOLE, Read, Specials, read_tokens, single_tokens, tools

QWEN = FAMILIES["Qwen3"]
CALL = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'


def read(text: str, tail: str = "<|im_start|>assistant\n", family: str = "Qwen3") -> Read:
    """The reply, read with markers as tokens and as text, whole and at every cut."""
    row = FAMILIES[family]
    found = []
    for user in ([], [each for each in single_tokens(row.texts()) if each[0] in "<["]):
        vocabulary = Specials((), user)
        wire = WireFormat(row, vocabulary)
        for cuts in (WHOLE, (), (2, 9, 13)):
            found.append(read_tokens(wire.parser(tools("f"), prompt_tail=tail), vocabulary.tokens(text, cuts)))
    assert len({(one.reasoning, one.content, *one.calls) for one in found}) == 1
    return found[0]


@pytest.mark.parametrize(
    ("text", "tail", "reasoning", "content"),
    [
        ("<think>\nhm\n</think>\n\nyes", "", "hm", "yes"),
        ("<think>hm</think>yes", "", "hm", "yes"),
        ("\n<think>\n\nhm\n\n</think>\n\n\nyes", "", "\nhm\n", "\nyes"),
        ("hm\n</think>\n\nyes", "<think>\n", "hm", "yes"),
        ("\nhm\n</think>\n\nyes", "<think>", "hm", "yes"),
        ("yes", "<think>\n\n</think>\n\n", "", "yes"),
        ("\n\nyes", "<think>\n\n</think>", "", "yes"),
        ("<think>\n\n</think>\n\nyes", "", "", "yes"),
        ("yes</think>no", "", "", "yesno"),
        ("<think>hm</think>\n\n</think>\n\nyes", "", "hm", "yes"),
        ("<think>hm</think>\n<think>more</think>\nyes", "", "hmmore", "yes"),
        ("<think>\n<think>\nhm</think>yes", "", "hm", "yes"),
        ("It is <think> that opens it", "", "", "It is <think> that opens it"),
        ("<think>never closed", "", "never closed", ""),
        ("never closed", "<think>\n", "never closed", ""),
        ("", "<think>\n", "", ""),
    ],
)
def test_reasoning_is_told_from_content(text: str, tail: str, reasoning: str, content: str) -> None:
    found = read(text, tail)
    assert (found.reasoning, found.content) == (reasoning, content)


def test_a_call_within_the_reasoning_ends_it() -> None:
    found = read(f"I call it.\n{CALL}\n</think>\n\nDone", "<think>\n")
    assert (found.reasoning, found.content, found.calls) == ("I call it.", "Done", [("f", "{}")])
    found = read("I may write <tool_call> tags.\n</think>\n\nDone", "<think>\n")
    assert (found.reasoning, found.content) == ("I may write <tool_call> tags.", "Done")


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.reasoning and name != "gpt-oss"])
def test_every_family_with_tags_splits_its_reasoning(name: str) -> None:
    tags, answer = FAMILIES[name].reasoning[0], FAMILIES[name].answer
    said = answer[0].open + "yes" + answer[0].close if answer and answer[0].open != tags.close else "yes"
    found = read(f"{tags.open}\nhm\n{tags.close}\n{said}", "assistant\n", name)
    assert (found.reasoning.strip(), found.content.strip()) == ("hm", "yes")
    found = read(f"hm{tags.close}\n{said}", f"assistant\n{tags.open}\n", name)
    assert (found.reasoning.strip(), found.content.strip()) == ("hm", "yes")


def test_without_splitting_the_tags_are_content() -> None:
    unsplit = WireFormat(QWEN, None).unsplit.parser(tools("f"), prompt_tail="<think>\n")
    found = read_tokens(unsplit, Specials(()).tokens(f"hm\n</think>\n\nyes\n{CALL}"))
    assert (found.reasoning, found.content, found.calls) == ("", "hm\n</think>\n\nyes", [("f", "{}")])


def test_the_tail_of_a_prompt_is_what_the_template_wrote_last() -> None:
    text = "<|user|>What is <think>?<|end|><think>\n"
    assert prompt_tail(PromptText(text, ((8, 24),))) == "<|end|><think>\n"
    assert prompt_tail(PromptText("x" * 1000)) == "x" * 256


PLAIN = st.text(st.characters(exclude_characters="<[`{\n>AHfq", exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(FAMILIES)), st.lists(PLAIN, min_size=1, max_size=5))
def test_text_that_begins_no_marker_is_passed_on_at_once(name: str, texts: list[str]) -> None:
    row = FAMILIES[name]
    vocabulary = Specials(MARKERS if name == "gpt-oss" else ())
    parser = WireFormat(row, vocabulary).parser(tools("f"), prompt_tail="")
    begin = "<|channel|>final<|message|>" if name == "gpt-oss" else "."
    for token, piece in vocabulary.tokens(begin, WHOLE):
        parser.push(token, piece)
    for text in texts:
        if name in ("Muse", "Command R", "Phi-4-mini", "Firefunction") and text[-1] in " Aft":
            continue  # markers of these begin with letters
        events = parser.push(0, text.encode())
        assert "".join(event.text for event in events if isinstance(event, Content)) == text


def test_an_unfinished_character_is_held_until_it_is_whole() -> None:
    parser = WireFormat(QWEN, None).parser()
    data = "a😀".encode()
    assert parser.push(0, data[:3]) == [Content("a")]
    assert parser.push(0, data[3:]) == [Content("😀")]
    parser.push(0, data[1:3])
    assert parser.end() == [Content("\ufffd")]


PIECES = ["<think>", "</think>", "\n", "a", CALL, '{"name": "f"', "}", "[", "]", '"', "é", "```json\n"]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(FAMILIES)),
    st.lists(st.sampled_from(PIECES) | st.integers(0, 40), max_size=14),
    st.booleans(),
)
def test_no_text_is_an_error_and_cuts_do_not_matter(name: str, parts: list[str | int], none: bool) -> None:
    row = FAMILIES[name]
    markers = single_tokens(row.texts()) or ["<function="]
    text = "".join(part if isinstance(part, str) else markers[part % len(markers)] for part in parts)
    vocabulary = Specials((), markers)
    wire = WireFormat(row, vocabulary)
    choice = ToolChoice(mode="none") if none else None
    found = [
        read_tokens(wire.parser(tools("f"), choice), vocabulary.tokens(text, cuts)) for cuts in (WHOLE, (), (1, 5, 8))
    ]
    assert len({(one.reasoning, one.content, *one.calls, *one.complete) for one in found}) == 1


HOSTILE = {
    "openers": "<tool_call>\n",
    "openers of objects": '<tool_call>\n{"name": "f", "arguments": {"a": "',
    "open strings": '<tool_call>\n{"x": "',
    "brackets": "[{[{",
    "openers for several shapes": '<|python_tag|>{"x": "',
    "closers": "</tool_call>\n</think>",
    "newlines": "\n",
    "halves of markers": "<tool_cal",
    "halves of characters": "\u00e9",
}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["Qwen3", "prompted", "DeepSeek V3", "Llama 3", "Qwen3-Coder", "gpt-oss"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_time_is_linear_in_the_text(kind: str, family: str) -> None:
    """Eight times the text takes eight times as long, with a margin for other work on the machine."""
    wire = WireFormat(FAMILIES[family], None)

    def seconds(n: int) -> float:
        data = (HOSTILE[kind] * (n // len(HOSTILE[kind]) + 1)).encode()[:n]
        best = float("inf")
        for _ in range(3):
            parser = wire.parser(tools("f"))
            start = time.process_time()
            for at in range(0, n, 3):
                parser.push(0, data[at : at + 3])
            parser.end()
            best = min(best, time.process_time() - start)
        return best

    assert seconds(80_000) < 24 * seconds(10_000) + 0.05


def test_what_is_passed_on_of_arguments_is_the_text_so_far() -> None:
    parser = WireFormat(QWEN, None).parser(tools("f"))
    text = '<tool_call>\n{"name": "f", "arguments": {"long": "one two three'
    events = [event for _, piece in Specials(()).tokens(text) for event in parser.push(0, piece)]
    assert "".join(event.text for event in events if isinstance(event, Arguments)) == '{"long": "one two three'
    assert not [event for event in events if isinstance(event, Content | Reasoning)]
