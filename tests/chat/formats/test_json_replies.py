"""What families that write calls as JSON say, read back: at every cut, with markers as special tokens and as text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oxillama.chat.formats.families import json as rows
from oxillama.chat.formats.wire import WireFormat
from oxillama.chat.tools import ToolChoice
from tests.support.replies import WHOLE, Read, Specials, read_tokens, single_tokens, tools

FAMILIES = {family.name: family for family in rows.FAMILIES}


def read(
    family: str, text: str, tail: str = "", *, special: bool = True, truncated: bool = False,
    choice: ToolChoice | None = None,
) -> Read:  # fmt: skip
    """The reply as it is read whole; it must be the same if it is cut anywhere. Its tools are `f` and `g`."""
    row = FAMILIES[family]
    vocabulary = Specials(single_tokens(row.texts()) if special else ())
    wire = WireFormat(row, vocabulary)

    def once(*cuts: int) -> Read:
        parser = wire.parser(tools("f", "g"), choice, prompt_tail=tail)
        return read_tokens(parser, vocabulary.tokens(text, cuts), truncated)

    whole = once(*WHOLE)
    for cuts in ((), (1, 4, 9), (3, 20, 33, 47), (2, 10, 12, 60)):
        other = once(*cuts)
        assert (other.reasoning, other.content, other.calls, other.complete) == (
            whole.reasoning, whole.content, whole.calls, whole.complete,
        )  # fmt: skip
    return whole


F1: tuple[str, Any] = ("f", {"a": 1})
G0: tuple[str, Any] = ("g", {})
OK = "<｜tool▁call▁end｜>"
V3 = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>"
V31 = "<｜tool▁call▁begin｜>"
SECTION, SECTION_END = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"

SAID = [
    ("Hermes", "Hi\n" + '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>', "Hi", [F1]),
    ("Hermes", '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>\n<tool_call>\n'
     '{"name": "g", "arguments": {}}\n</tool_call>', "", [F1, G0]),
    ("Hermes", '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n{"name": "g", "arguments": {}}\n</tool_call>', "",
     [F1, G0]),
    ("Llama 3", '{"name": "f", "parameters": {"a": 1}}', "", [F1]),
    ("Llama 3", '{"type": "function", "name": "f", "parameters": {"a": 1}}; {"name": "g", "parameters": {}}', "",
     [F1, G0]),
    ("Llama 3", '<|python_tag|>{"type": "function", "function": {"name": "f", "parameters": {"a": 1}}}', "", [F1]),
    ("Llama 3", '[f(a=1), g()]', "", [F1, G0]),
    ("Llama 3", '<|python_tag|>f.call(a=1)', "", [F1]),
    ("Llama 3", '[f]', "[f]", []),
    ("Granite 20B", 'a\n<function_call> {"name": "f", "arguments": {"a": 1}}', "a", [F1]),
    ("Llama 3", '{"answer": 42}', '{"answer": 42}', []),
    ("GigaChat 3", 'a<|message_sep|>\n\nfunction call<|role_sep|>\n{"name": "f", "arguments": {"a": 1}}', "a", [F1]),
    ("GigaChat 3.1", '<|function_call|>{"name": "f", "arguments": {"a": 1}}', "", [F1]),
    ("InternLM", 'a\n<|action_start|><|plugin|>\n{"name": "f", "parameters": {"a": 1}}<|action_end|>', "a", [F1]),
    ("MiniMax M1", '<tool_calls>\n{"name": "f", "arguments": {"a": 1}}\n{"name": "g", "arguments": {}}\n</tool_calls>',
     "", [F1, G0]),
    ("Nemotron Nano v2", 'a\n<TOOLCALL>[{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {}}]'
     "</TOOLCALL>", "a", [F1, G0]),
    ("Granite 3", '<|tool_call|>[{"name":"f","arguments":{"a":1}}]', "", [F1]),
    ("Granite 3", '<tool_call>[{"name":"f","arguments":{"a":1}}]', "", [F1]),
    ("Granite 3", "<response>yes</response>", "yes", []),
    ("Phi-4-mini", '<|tool_call|>[{"name":"f","arguments":{"a":1}}]<|/tool_call|>', "", [F1]),
    ("Phi-4-mini", 'functools[{"name":"f","arguments":{"a":1}}]', "", [F1]),
    ("Firefunction", 'functools[{"name":"f","arguments":{"a":1}}]', "", [F1]),
    ("Apriel", '<tool_calls>[{"name": "f", "arguments": {"a": 1}, "id": "x"}]</tool_calls>', "", [F1]),
    ("Command R7B", "<|START_RESPONSE|>hello<|END_RESPONSE|>", "hello", []),
    ("Command R7B", '<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "f", "parameters": {"a": 1}},\n    '
     '{"tool_call_id": "1", "tool_name": "g", "parameters": {}}\n]<|END_ACTION|>', "", [F1, G0]),
    ("Command A+", "<|START_TEXT|>hello<|END_TEXT|>", "hello", []),
    ("Command R", 'Action:\n```json\n[\n    {"tool_name": "f", "parameters": {"a": 1}}\n]```', "", [F1]),
    ("Command R", 'Action: ```json\n[{"tool_name": "directly-answer", "parameters": {}}]```\nHello', "Hello", []),
    ("Apertus", '<|tools_prefix|>[{"f": {"a": 1}}, {"g": {}}]<|tools_suffix|>', "", [F1, G0]),
    ("Mistral Small 3.2", '[TOOL_CALLS]f{"a": 1}[TOOL_CALLS][{"name":"g","arguments":{}}]', "", [F1, G0]),
    ("Ministral 3", 'a[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g{}', "a", [F1, G0]),
    ("DeepSeek V3", f'a{SECTION}{V3}f\n```json\n{{"a": 1}}\n```{OK}\n{V3}g\n```json\n{{}}\n```{OK}{SECTION_END}', "a",
     [F1, G0]),
    ("DeepSeek V3", f'{SECTION}{V3}f\n{{"a": 1}}{OK}', "", [F1]),
    ("DeepSeek V3.1", f'{SECTION}{V31}f<｜tool▁sep｜>{{"a": 1}}{OK}{V31}g<｜tool▁sep｜>{OK}{SECTION_END} b', " b"[1:],
     [F1, G0]),
    ("Functionary 3.1", '<function=f>{"a": 1}</function><function=g>{}</function>', "", [F1, G0]),
    ("prompted", '```json\n{"name": "f", "arguments": {"a": 1}}\n```', "", [F1]),
    ("prompted", 'So:\n```tool_code\n[{"name": "f", "parameters": {"a": 1}}]\n```\nthen', "So:\nthen", [F1]),
    ("prompted", '{"city": {"name": "f"}}', '{"city": {"name": "f"}}', []),
]  # fmt: skip


@pytest.mark.parametrize(("family", "text", "content", "calls"), SAID)
@pytest.mark.parametrize("special", [True, False], ids=["special", "text"])
def test_calls_and_content_are_told_apart(
    family: str, text: str, content: str, calls: list[object], special: bool
) -> None:
    found = read(family, text, special=special)
    assert (found.reasoning, found.content, found.values) == ("", content, calls)
    assert all(found.complete)


@pytest.mark.parametrize(
    ("family", "text", "ids"),
    [
        ("Mistral", '[TOOL_CALLS][{"name": "f", "arguments": {"a": 1}, "id": "123456789"}]', ["123456789"]),
        ("Mistral Small 3.2", "[TOOL_CALLS]f[CALL_ID]123456789[ARGS]{}[TOOL_CALLS]g[CALL_ID]x23456780[ARGS]{}",
         ["123456789", "x23456780"]),
        ("Command R7B", '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "f", "parameters": {"a": 1}}]', ["0"]),
        ("Command R7B", '<|START_ACTION|>[{"tool_name": "f"}, {"tool_name": "g", "parameters": {}}]', ["0", "1"]),
        ("Solar Open", "<|tool_calls|><|tool_call:begin|>abc<|tool_call:name|>f<|tool_call:args|>{}<|tool_call:end|>"
         "<|calls|>", ["abc"]),
        ("Kimi K2", "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{}"
         "<|tool_call_end|><|tool_call_begin|>g:1<|tool_call_argument_begin|>{}<|tool_call_end|>"
         "<|tool_calls_section_end|>", ["functions.f:0", "functions.g:1"]),
        ("Kimi K2", "<|tool_call_begin|>f<|tool_call_argument_begin|>{}<|tool_call_end|>", ["functions.f:0"]),
    ],
)  # fmt: skip
def test_the_models_own_ids_are_kept(family: str, text: str, ids: list[str]) -> None:
    assert read(family, text).ids == ids
    assert all(read(family, text).complete)


def test_made_ids_have_the_form_that_clients_know() -> None:
    (call_id,) = read("Hermes", '<tool_call>\n{"name": "f"}\n</tool_call>').ids
    assert call_id.startswith("call_")
    assert len(call_id) == 29
    (short,) = read("Mistral", '[TOOL_CALLS][{"name": "f", "arguments": {}}]').ids
    assert len(short) == 9


def test_functionary_names_the_recipient_of_each_part() -> None:
    found = read("Functionary 3.2", 'all\nHello\n>>>f\n{"a": 1}>>>g\n{}', tail=">>>", special=False)
    assert (found.content, found.values) == ("Hello\n", [F1, G0])
    assert read("Functionary 3.2", 'f\n{"a": 1}', tail="assistant\n>>>", special=False).values == [F1]


CALL = '<tool_call>\n{"name": "f", "arguments": %s}\n</tool_call>'


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"a": 1, "b": [1, 2,], }', '{"a": 1, "b": [1, 2]}'),
        ("{'a': 'it\"s', b: True, c: None, d: 007}", '{"a": "it\\"s", "b": true, "c": null, "d": 7}'),
        ('{"a": "x\ny\\q"}', '{"a": "x\\ny\\\\q"}'),
        ('"{\\"a\\": \\"\\ud83d\\ude00\\"}"', '{"a": "😀"}'),
        ('""', "{}"),
        ("null", "{}"),
        ('{"n": 9223372036854775807, "e": 1e400}', '{"n": 9223372036854775807, "e": 1e400}'),
        ('{"a": {"b": [{"c": "</tool_call>"}]}}', '{"a": {"b": [{"c": "</tool_call>"}]}}'),
        ('{"a": [1, 2}', '{"a": [1, 2]}'),
    ],
)
def test_arguments_are_passed_on_as_valid_json(arguments: str, text: str) -> None:
    found = read("Hermes", CALL % arguments, special=False)
    assert found.calls == [("f", text)]
    assert found.content == ""


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>\nnot json\n</tool_call>",
        '<tool_call>\n{"name": "other", "arguments": {}}\n</tool_call>',
        '<tool_call>\n{"name": 5, "arguments": {}}\n</tool_call>',
        '<tool_call>\n{"name": "f", "arguments": [1]}\n</tool_call>',
        '<tool_call>\n{"name": "f", "arguments": "Paris"}\n</tool_call>',
        "<tool_call>\n[]\n</tool_call>",
        "<tool_call>",
        "a <tool_call> b </tool_call>",
        '{"name": "f", "arguments": {}}',
    ],
)
def test_what_is_no_call_is_content(text: str) -> None:
    found = read("Hermes", text, special=False)
    assert (found.content, found.calls) == (text, [])


def test_a_special_token_counts_by_its_id_only() -> None:
    row = FAMILIES["Hermes"]
    vocabulary = Specials((), ["<tool_call>", "</tool_call>"])
    quoted = 'It is written <tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>.'
    found = read_tokens(WireFormat(row, vocabulary).parser(tools("f")), Specials(()).tokens(quoted))
    assert (found.content, found.calls) == (quoted, [])
    at_line = 'Now\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
    spelled = read_tokens(WireFormat(row, vocabulary).parser(tools("f")), Specials(()).tokens(at_line))
    assert (spelled.content, spelled.calls) == ("Now", [("f", "{}")])


@pytest.mark.parametrize("ending", ["}}", "}", "", "\n</tool_call>", "}\n</tool_call>"])
def test_missing_closers_are_mended(ending: str) -> None:
    found = read("Hermes", '<tool_call>\n{"name": "f", "arguments": {"a": 1' + ending, special=False)
    assert (found.content, found.values, found.complete) == ("", [F1], [True])


def test_a_call_that_is_cut_off_keeps_its_arguments_as_they_are() -> None:
    found = read("Hermes", '<tool_call>\n{"name": "f", "arguments": {"a": "b', special=False, truncated=True)
    assert (found.calls, found.complete) == ([("f", '{"a": "b')], [False])


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("Hermes", '<tool_call>\n{"name": "f"'),
        ("Hermes", '<tool_call>\n{"name": "f", "argu'),
        ("Hermes", '<tool_call>\n{"name": "f", "arguments": '),
        ("Mistral", '[TOOL_CALLS][{"name": "f", "arg'),
        ("Apertus", '<|tools_prefix|>[{"f": '),
        ("Ministral 3", "[TOOL_CALLS]f[ARGS]"),
        ("DeepSeek V3", f"{SECTION}{V3}f\n```json\n"),
    ],
)
def test_a_call_that_is_cut_off_before_its_arguments_has_none(family: str, text: str, special: bool) -> None:
    found = read(family, f"Hi\n{text}", special=special, truncated=True)
    assert (found.content.strip(), found.calls, found.complete) == ("Hi", [("f", "")], [False])


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("Llama 3", '{"name": "f", "par'),
        ("prompted", '```json\n{"name": "f", "arg'),
        ("Hermes", '<tool_call>\n{"name": "unknown", "arg'),
    ],
)
def test_what_may_be_no_call_is_content_if_it_is_cut_off_before_the_arguments(family: str, text: str) -> None:
    found = read(family, text, special=False, truncated=True)
    assert (found.content, found.calls) == (text, [])


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("Hermes", '<tool_call>\n{"name": "f'),
        ("Hermes", "<tool_call>\n"),
        ("Ministral 3", "[TOOL_CALLS]f"),
        ("Kimi K2", "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:"),
    ],
)
def test_nothing_is_said_of_a_call_that_is_cut_off_in_its_name(family: str, text: str, special: bool) -> None:
    found = read(family, f"Hi\n{text}", special=special, truncated=True)
    assert (found.content.strip(), found.calls) == ("Hi", [])


def test_calls_that_may_not_be_made_are_content_unless_there_is_nothing_else() -> None:
    none = ToolChoice(mode="none")
    call = CALL % "{}"
    assert read("Hermes", call, choice=none, special=False).content == ""
    for text in (f"a {call} b", f"{call} b", f"a\n{call}"):
        found = read("Hermes", text, choice=none, special=False)
        assert (found.content, found.calls) == (text, [])


def test_only_the_named_tools_are_called() -> None:
    named = ToolChoice(mode="required", names=frozenset("g"))
    assert read("Hermes", CALL % "{}", choice=named, special=False).calls == []
    g = (CALL % "{}").replace('"f"', '"g"')
    assert read("Hermes", g, choice=named, special=False).calls == [("g", "{}")]


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "f", "arguments": {"a": 1}}}\n</tool_call>',
        '<tool_call>\n{"name": "f", "arguments": {"a": 1]}\n</tool_call>',
        '<tool_call>\n<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>\n</tool_call>',
        '<tool_call>\n```json\n{"name": "f", "arguments": {"a": 1}}\n```\n</tool_call>',
        '<tool_call>\n[{"name": "f", "arguments": {"a": 1}}]\n</tool_call>',
        '<tool_call>\n{"name": "functions.f", "parameters": {"a": 1}}\n</tool_call>',
        '<tool_call>\n{"arguments": {"a": 1}, "name": "f"}\n</tool_call>',
        '<tool_call>\n{"type": "function", "function": {"name": "f", "arguments": {"a": 1}}}\n</tool_call>',
    ],
)
def test_what_models_write_around_calls_is_tolerated(text: str) -> None:
    for special in (True, False):
        found = read("Hermes", text, special=special)
        assert (found.content, found.values, found.complete) == ("", [F1], [True])


def test_doubled_markers_before_a_name_are_tolerated() -> None:
    assert read("Functionary 3.2", '>>>f\n{"a": 1}', tail=">>>", special=False).values == [F1]
    assert read("DeepSeek V3.1", f'{SECTION}{SECTION}{V31}{V31}f<｜tool▁sep｜>{{"a": 1}}{OK}{OK}').values == [F1]


def test_arguments_come_as_they_are_written() -> None:
    parser = WireFormat(FAMILIES["Hermes"], None).parser(tools("f"))
    text = '<tool_call>\n{"name": "f", "arguments": {"text": "one two three four"'
    events = [event for _, piece in Specials(()).tokens(text) for event in parser.push(0, piece)]
    arguments = "".join(event.text for event in events if hasattr(event, "text"))
    assert arguments == '{"text": "one two three four"'
    assert json.loads(arguments + "}")
