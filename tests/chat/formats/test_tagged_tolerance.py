"""What models get wrong in tags and literals: mended where the meaning is clear, content where it is not."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxillama.chat.conversation import ToolCall
from oxillama.chat.formats.families import literal, tagged
from oxillama.chat.formats.wire import Family, WireFormat
from oxillama.chat.tools import Tool
from tests.support.replies import WHOLE, Read, Specials, read_tokens

FAMILIES = {family.name: family for family in (*tagged.FAMILIES, *literal.FAMILIES)}
SCHEMA = {
    "type": "object",
    "properties": {"s": {"type": "string"}, "n": {"type": "integer"}, "o": {"type": "object"}},
}
TOOLS = [Tool(name="f", parameters=SCHEMA), Tool(name="g")]


def read(name: str, text: str, *, special: bool = False, truncated: bool = False) -> Read:
    """What is read of a text, the same wherever it is cut."""
    vocabulary = Specials(FAMILIES[name].texts() if special else ())
    format_ = WireFormat(FAMILIES[name], vocabulary)
    found = [read_tokens(format_.parser(TOOLS), vocabulary.tokens(text, cuts), truncated) for cuts in ((), WHOLE)]
    found[1].ids = found[0].ids
    assert found[0] == found[1]
    return found[0]


QWEN = (
    "<tool_call>\n<function=f>\n<parameter=s>\nx\n</parameter>\n<parameter=n>\n5\n</parameter>\n</function>\n"
    "</tool_call>"
)
F = ("f", {"s": "x", "n": 5})
G: tuple[str, dict[str, Any]] = ("g", {})


@pytest.mark.parametrize(
    ("name", "text", "calls"),
    [
        ("Qwen3-Coder", QWEN.removeprefix("<tool_call>\n"), [F]),
        ("Qwen3-Coder", QWEN.removesuffix("\n</tool_call>"), [F]),
        ("Qwen3-Coder", QWEN.removesuffix("\n</function>\n</tool_call>"), [F]),
        ("Qwen3-Coder", QWEN.removesuffix("\n</parameter>\n</function>\n</tool_call>"), [F]),
        ("Qwen3-Coder", QWEN.replace("</function>\n", ""), [F]),
        ("Qwen3-Coder", QWEN.replace("5\n</parameter>\n", "5\n"), [F]),
        ("Qwen3-Coder", QWEN.replace("</parameter>", "</parameter>\n</parameter>"), [F]),
        ("Qwen3-Coder", QWEN.replace("<tool_call>", "<tool_call>\n<tool_call>"), [F]),
        ("Qwen3-Coder", QWEN.replace("\n", ""), [F]),
        ("Qwen3-Coder", QWEN + QWEN, [F, F]),
        ("Qwen3-Coder", QWEN.replace("</function>\n</tool_call>", "<function=g></function></tool_call>"), [F, G]),
        ("Qwen3-Coder", '<tool_call><function="f">{"s": "x", "n": 5}</function></tool_call>', [F]),
        ("Qwen3-Coder", "<tool_call>\n<function=g>\n</function>\n</tool_call>", [G]),
        ("Qwen3-Coder", "<tool_call>\n<function=g>", [G]),
        ("MiniMax M2", "<invoke name=f><parameter name='s'>x</parameter><parameter name = n>5</parameter>", [F]),
        ("MiniMax M2", '<minimax:tool_call><invoke name="g"/></minimax:tool_call>', [G]),
        ("DeepSeek V3.2", '<｜DSML｜function_calls><｜DSML｜invoke name="f">{"s": "x", "n": 5}</｜DSML｜invoke>', [F]),
        (
            "DeepSeek V3.2",
            '<｜DSML｜invoke name="f"><｜DSML｜parameter name="s">x</｜DSML｜parameter>'
            '<｜DSML｜parameter name="n" string="false">5</｜DSML｜parameter></｜DSML｜invoke>',
            [F],
        ),
        ("DeepSeek V3.2", '<｜DSML｜invoke name="f"><｜DSML｜parameter name="n" string="true">5</｜DSML｜parameter>',
         [("f", {"n": "5"})]),
        ("GLM 4.5", "<tool_call>f\n<arg_key>s</arg_key><arg_value>x</arg_value><arg_key>n</arg_key><arg_value>5", [F]),
        ("GLM 4.5", '<tool_call>f\n{"s": "x", "n": 5}\n</tool_call>', [F]),
        ("GLM 4.7", "<tool_call>g</tool_call><tool_call>g", [G, G]),
        ("Hunyuan Hy3", "<tool_call>g<tool_sep></tool_call>", [G]),
        ("MiniCPM5", '<function name="f"><param name="s"><![CDATA[x]]></param><param name="n">5</param>', [F]),
        ("MiniMax M3", "]<]minimax[>[<invoke name=f>]<]minimax[>[<s>x]<]minimax[>[</s>]<]minimax[>[<n>5", [F]),
        ("LFM2", "<|tool_call_start|>[f(s='x', n=5)]", [F]),
        ("LFM2", "<|tool_call_start|>f(s='x', n=5,)<|tool_call_end|>", [F]),
        ("LFM2", "<|tool_call_start|>[f(s='x', n=5<|tool_call_end|>", []),
        ("LFM2", "<|tool_call_start|>[f(s='x', n=5", [F]),
        ("LFM2", '<|tool_call_start|>[{"name": "f", "arguments": {"s": "x", "n": 5}}]<|tool_call_end|>', [F]),
        ("LFM2", "<|tool_call_start|>[f(s='x',\n  n=0_5), g ( )]<|tool_call_end|>", [F, G]),
        ("Llama 4", " [f(s='x', n=5), g()]", [F, G]),
        ("Llama 4", "<|python_start|>[g()]<|python_end|>", [G]),
        ("Olmo 3", "<function_calls>f(s='x', n=5) g()</function_calls>", [F, G]),
        ("Gemma 4", '<|tool_call>call:f{s:"x",n:5}', [F]),
        ("Gemma 4", '<|tool_call>call:f{s:<|"|>x<|"|>, "n" : 5,}<tool_call|>', [F]),
        ("Gemma 4", '<|tool_call>call:f{s:x,n:5}<tool_call|><|tool_call>call:g{}', [F, G]),
        ("Gemma 4", '<|tool_call>call:f{n:5,s:<|"|>x', [("f", {"n": 5, "s": "x"})]),
        ("FunctionGemma", "<start_function_call>call:f{s:<escape>x<escape>,n:5}", [F]),
    ],
)  # fmt: skip
def test_what_is_mended(name: str, text: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    for before, after in (("", ""), ("Text.\n", "")):
        found = read(name, before + text + after)
        if before and name == "Llama 4" and not text.startswith("<"):
            continue  # a list in the middle of a text is text
        assert found.values == calls
        assert all(found.complete)
        if calls:
            assert found.content.strip() == before.strip()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Qwen3-Coder", "<function=unknown>\n<parameter=s>\nx\n</parameter>\n</function>"),
        ("Qwen3-Coder", "<tool_call>\nnothing\n</tool_call>"),
        ("Qwen3-Coder", "<tool_call>\n<function=f>\nHm.\n</function>\n</tool_call>"),
        ("Qwen3-Coder", "Write `<function=` and a name."),
        ("Qwen3-Coder", "a < b, <parameter=s>x</parameter>"),
        ("MiniMax M2", '<invoke name="unknown"></invoke>'),
        ("MiniMax M2", "<invoke name=\n"),
        ("MiniMax M2", "<minimax:tool_call>"),
        ("GLM 4.5", "<tool_call>unknown</tool_call>"),
        ("GLM 4.5", '<tool_call>{"name": "f"}</tool_call>'),
        ("MiniMax M3", "]<]minimax[>[<tool_call>]<]minimax[>[<b>x]<]minimax[>[</b>"),
        ("LFM2", "<|tool_call_start|>[f(x)]<|tool_call_end|>"),
        ("LFM2", "<|tool_call_start|>[f(s='x' + y)]<|tool_call_end|>"),
        ("LFM2", "<|tool_call_start|>[f(s=open('x'))]<|tool_call_end|>"),
        ("LFM2", "[f(s='x')]"),
        ("Llama 4", "[1] The list [f(s='x')] is none."),
        ("Llama 4", "[h(s='x')]"),
        ("Gemma 4", "<|tool_call>f{}<tool_call|>"),
        ("Gemma 4", "<|tool_call>call:unknown{}<tool_call|>"),
    ],
)
def test_what_is_no_call_is_content(name: str, text: str) -> None:
    assert read(name, text) == Read(content=text)


@pytest.mark.parametrize("name", FAMILIES)
def test_text_after_a_call_is_content(name: str) -> None:
    written = _written(FAMILIES[name], [("f", {"s": "x"})])
    found = read(name, written + "\n\nDone, `<b>` is set.", special=True)
    assert (found.values, found.content.strip()) == ([("f", {"s": "x"})], "Done, `<b>` is set.")


# The families whose calls begin with a whole marker that a vocabulary may have as one token.
BEGIN_WITH_TOKENS = [
    name
    for name, family in FAMILIES.items()
    if family.shape.name not in ("G", "P") and name not in ("MiniMax M3", "DeepSeek V4.1", "MiniCPM5", "Kimi K3")
]


@pytest.mark.parametrize("name", BEGIN_WITH_TOKENS)
def test_a_marker_that_is_a_token_counts_where_it_is_spelled_at_the_beginning_of_a_line(name: str) -> None:
    family = FAMILIES[name]
    format_ = WireFormat(family, Specials(family.texts()))
    assert any(opener in format_.markers.ids for reader in format_.readers for opener in reader.openers)
    spelled = Specials(()).tokens("See:\n" + _written(family, [("f", {"s": "x"})]), WHOLE)
    found = read_tokens(format_.parser(TOOLS), spelled)
    assert (found.values, found.content) == ([("f", {"s": "x"})], "See:")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_reply_that_is_cut_off_keeps_the_call(name: str) -> None:
    text = _written(FAMILIES[name], [("f", {"s": "a long text", "n": 5}), ("g", {})])
    for end in range(0, len(text), 3):
        found = read(name, text[:end], truncated=True)
        for (_, arguments), complete in zip(found.calls, found.complete, strict=True):
            if complete:
                json.loads(arguments)
            else:
                assert not arguments or arguments[0] == "{"
        if "a long text" in text[:end] and FAMILIES[name].shape.name != "P":
            assert "a long text" in found.calls[0][1]


def test_arguments_that_are_json_in_place_of_tags_are_cut_off_too() -> None:
    found = read("Qwen3-Coder", '<tool_call>\n<function=f>\n{"s": "a l', truncated=True)
    assert (found.content, found.calls, found.complete) == ("", [("f", '{"s": "a l')], [False])


@pytest.mark.parametrize("name", FAMILIES)
def test_strings_are_passed_on_as_they_come(name: str) -> None:
    family = FAMILIES[name]
    if family.shape.name == "P":
        return  # a call of Python is known to be one when it is complete
    vocabulary = Specials(family.texts())
    text = _written(family, [("f", {"s": "one two three four"})])
    parser = WireFormat(family, vocabulary).parser(TOOLS)
    begun = text[: text.index("three")]
    events = [event for token in vocabulary.tokens(begun, ()) for event in parser.push(*token)]
    assert "".join(getattr(event, "text", "") for event in events).startswith('{"s": "one two')


@pytest.mark.parametrize("name", FAMILIES)
def test_a_call_ends_reasoning_that_was_not_closed(name: str) -> None:
    family = FAMILIES[name]
    if family.reasoning:
        written = f"{family.reasoning[0].open}Let me look.\n\n" + _written(family, [("f", {"s": "x"})])
        found = read(name, written, special=True)
        assert (found.reasoning.strip(), found.content, found.values) == ("Let me look.", "", [("f", {"s": "x"})])


@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_is_lost_by_mutations(name: str) -> None:
    _mutate(name, True, 3)
    _mutate(name, False, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_is_lost_by_many_mutations(name: str) -> None:
    _mutate(name, True, 200)
    _mutate(name, False, 200)


def _mutate(name: str, special: bool, examples: int) -> None:
    """Parts of a reply dropped, doubled and moved: no exception, and all words are somewhere."""
    vocabulary = Specials(FAMILIES[name].texts() if special else ())
    text = "Before. " + _written(FAMILIES[name], [("f", {"s": "word one", "n": 5}), ("g", {})]) + " After."
    parts = [part for part in _parts(text) if part]

    @settings(max_examples=examples, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        order = list(range(len(parts)))
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, max(len(order) - 1, 0)))
            change = data.draw(st.sampled_from(["drop", "double", "move"]))
            part = order.pop(at) if order and change != "double" else (order[at] if order else 0)
            if change != "drop":
                order.insert(data.draw(st.integers(0, len(order))), part)
        mutated = "".join(parts[at] for at in order)
        found = read_tokens(WireFormat(FAMILIES[name], vocabulary).parser(TOOLS), vocabulary.tokens(mutated, WHOLE))
        everything = found.content + found.reasoning + "".join(arguments for _, arguments in found.calls)
        for word in ("Before", "word one", "After"):
            assert everything.count(word) == mutated.count(word), mutated

    check()


def _written(family: Family, calls: list[tuple[str, dict[str, Any]]]) -> str:
    made = [ToolCall(id="", name=name, arguments=json.dumps(arguments)) for name, arguments in calls]
    return WireFormat(family, None).write(made).text


def _parts(text: str) -> list[str]:
    return re.split(r"(<[^<>]*>|\]<\]minimax\[>\[|[\[\](){},:=]|\n)", text)
