"""Tools and forms of answers from files, and answers with calls and reasoning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from oxillama.chat.options import ChatOptions, Grammar, JsonSchema
from oxillama.chat.tools import Tool
from oxillama.cli.commands.run import request_for
from oxillama.cli.shared.asked import chat_options, naming_files
from oxillama.cli.shared.completion import Completion, complete
from oxillama.cli.shared.terminal.answer import PlainAnswer, Shown, TerminalAnswer
from oxillama.engine.api.types import SamplingParams
from oxillama.errors import InvalidParameterError, OxillamaError
from tests.support.fake_engine import FakeChatTemplate, FakeEngine

FUNCTION: dict[str, Any] = {"name": "weather", "description": "The weather.", "parameters": {"type": "object"}}
TOOL = Tool(name="weather", description="The weather.", parameters={"type": "object"})
REPLY = (
    "<think>\nA city.\n</think>\n\nI look.\n<tool_call>\n"
    '{"name": "weather", "arguments": {"city": "Rom\\u00e9"}}\n</tool_call>'
)


def written(tmp_path: Path, given: Any, name: str = "given.json") -> Path:
    path = tmp_path / name
    path.write_text(given if isinstance(given, str) else json.dumps(given), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "given",
    [
        [{"type": "function", "function": FUNCTION}],
        {"tools": [{"type": "function", "function": FUNCTION}]},
        {"type": "function", "function": FUNCTION},
        [FUNCTION],
        FUNCTION,
    ],
    ids=["list", "tools", "one", "functions", "function"],
)
def test_tools_are_read_in_every_shape_that_they_come_in(tmp_path: Path, given: Any) -> None:
    assert chat_options(written(tmp_path, given), None, None).tools == (TOOL,)


def test_forms_of_answers_are_read(tmp_path: Path) -> None:
    schema = chat_options(None, written(tmp_path, {"type": "object"}), None).format
    assert schema == JsonSchema(schema={"type": "object"}, strict=True)
    assert chat_options(None, None, written(tmp_path, "start: A", "a.lark")).format == Grammar("start: A", "lark")
    assert chat_options(None, None, written(tmp_path, "root ::= A", "a.GBNF")).format == Grammar("root ::= A", "gbnf")
    assert chat_options(None, None, None) == ChatOptions()


@pytest.mark.parametrize(
    ("option", "given", "problem"),
    [
        ("tools", "[", "is not JSON"),
        ("tools", "5", "holds no list of tools"),
        ("tools", [5], "Invalid 'tools\\[0\\]'"),
        ("tools", [{"type": "function", "function": {}}], "Invalid 'tools\\[0\\].function.name'"),
        ("tools", [FUNCTION, FUNCTION], "two functions 'weather'"),
        ("json_schema", "[]", "holds no JSON schema"),
        ("json_schema", "{", "is not JSON"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, option: str, given: Any, problem: str) -> None:
    path = written(tmp_path, given)
    files: dict[str, Path | None] = {"tools": None, "json_schema": None, "grammar": None, option: path}
    with pytest.raises(OxillamaError, match=f"^{path}: .*{problem}"):
        chat_options(**files)


@pytest.mark.parametrize(
    ("option", "param", "message", "shown"),
    [
        (
            "json_schema",
            "response_format",
            "Invalid schema for response_format 'response': 'type' is 5.",
            "'type' is 5.",
        ),
        ("tools", "tools", "Invalid schema for function 'f': it is 5", "Invalid schema for function 'f': it is 5"),
        ("grammar", "grammar", "Invalid 'grammar': it is empty.", "it is empty."),
    ],
)  # fmt: skip
def test_what_a_file_asks_for_in_vain_names_the_file(option: str, param: str, message: str, shown: str) -> None:
    files: dict[str, Path | None] = {"tools": None, "json_schema": None, "grammar": None, option: Path("a.json")}
    with pytest.raises(OxillamaError) as caught, naming_files(**files):
        raise InvalidParameterError(message, param=param)
    assert str(caught.value) == f"a.json: {shown}"


def test_two_forms_are_a_wrong_command_line(tmp_path: Path) -> None:
    path = written(tmp_path, {})
    with pytest.raises(typer.Exit):
        chat_options(None, path, path)


async def said(answer: TerminalAnswer | PlainAnswer, **sampling: Any) -> tuple[str, Completion]:
    """What is shown of the reply to a message with a tool."""
    engine = FakeEngine(reply=REPLY, chat_template=FakeChatTemplate(source="<tool_call><think>"))
    shown: list[str] = []
    params = SamplingParams(**sampling)
    request = await request_for(engine, "Hi", params, ChatOptions(tools=(TOOL,)), raw=False)
    done = await complete(engine, Completion(), request, Shown(answer, shown.append))
    return "".join(shown) + answer.finish() + answer.last, done


async def test_a_pipe_gets_the_text_and_calls_as_lines_of_json() -> None:
    text, done = await said(PlainAnswer())
    call = '{"name": "weather", "arguments": {"city": "Romé"}}'
    assert text == f"I look.\n{call}\n"
    made = done.as_json("m")
    assert (made["text"], made["reasoning"], made["finish_reason"]) == ("I look.", "A city.", "tool_calls")
    assert [(one["name"], one["arguments"]) for one in made["tool_calls"]] == [("weather", {"city": "Romé"})]


async def test_a_terminal_shows_reasoning_dim_and_calls_on_their_lines() -> None:
    text, _ = await said(TerminalAnswer())
    plain = text.replace("\x1b[2m", "").replace("\x1b[22m", "")
    assert plain == 'A city.\n\nI look.\n→ weather {"city": "Rom\\u00e9"}\n'
    assert "\x1b[2m" in text[: text.index("I look")]
    assert "\x1b[2m" not in text[text.index("I look") :]


async def test_a_call_that_is_cut_off_is_shown_as_far_as_it_came() -> None:
    text, done = await said(PlainAnswer(), max_tokens=REPLY.index("Rom") + 3)
    assert text == 'I look.\n{"name": "weather", "arguments": "{\\"city\\": \\"Rom"}\n'
    assert done.finish_reason == "length"


@pytest.mark.parametrize("asked", [ChatOptions(tools=(TOOL,)), ChatOptions(format=JsonSchema(schema={}))])
async def test_what_needs_a_conversation_is_refused_without_one(asked: ChatOptions) -> None:
    with pytest.raises(OxillamaError, match="need a model with a chat template, and neither --raw nor --suffix"):
        await request_for(FakeEngine(), "Hi", SamplingParams(), asked, raw=True)
    with pytest.raises(OxillamaError, match="need a model with a chat template"):
        await request_for(FakeEngine(), (1, 2), SamplingParams(), asked, raw=False)


def test_escape_sequences_of_a_call_have_no_effect() -> None:
    shown = TerminalAnswer().call("f", '{"a": "\x1b[31m"}')
    assert "\x1b" not in shown
    assert shown == '→ f {"a": "␛[31m"}\n'
