"""`Model.chat` gives the same text for a conversation as the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import oxillama
from oxillama import GenerationRequest, Message, Model, SamplingParams, Tool, ToolCall
from oxillama.errors import ContextLengthError, GenerationError, InvalidParameterError, OxillamaError, TemplateError
from tests.support.fake_runner import FakeRunner, bundle
from tests.support.scripted_model import scripted_model

USER = {"role": "user", "content": "Hi"}
SHOWS = "{% for m in messages %}[{{ m.role }}:{{ m.content }}]{% endfor %}{{ extra or '' }}{{ '\\n' }}"


class Seen:
    """A model that records its prompts."""

    def __init__(self, path: Path) -> None:
        self.model = Model(path, n_threads=1)
        self.prompts: list[tuple[int, ...]] = []
        start = self.model._start_request

        def noting(request: GenerationRequest) -> Any:
            self.prompts.append(request.prompt_ids)
            return start(request)

        self.model._start_request = noting

    def prompt(self, *messages: Any, **values: Any) -> str:
        list(self.model.chat(messages, SamplingParams(max_tokens=1), **values))
        return self.model.detokenize(self.prompts[-1]).decode()


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Seen]:
    path = scripted_model(
        tmp_path / "m.gguf", {"\n": "Hello there"}, control=("<|im_end|>",), chat_template=SHOWS, vocab="bpe", n_ctx=128
    )
    found = Seen(path)
    with found.model:
        yield found


def test_the_answer_is_yielded_in_pieces(seen: Seen) -> None:
    pieces = list(seen.model.chat([USER]))
    assert "".join(pieces) == "Hello there"
    assert len(pieces) > 1
    assert isinstance(seen.model, oxillama.Model)


def test_mappings_and_messages_say_the_same(seen: Seen) -> None:
    said = [
        {"role": "developer", "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": "kind"}]},
        USER,
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
    ]
    messages = [
        Message(role="system", content="Be\nkind"),
        Message(role="user", content="Hi"),
        Message(role="assistant", content="Hello"),
        Message(role="user", content="Bye"),
    ]
    expected = "[system:Be\nkind][user:Hi][assistant:Hello][user:Bye]\n"
    assert seen.prompt(*said) == expected
    assert seen.prompt(*messages) == expected


def test_values_reach_the_template(seen: Seen) -> None:
    assert seen.prompt(USER, extra="!") == "[user:Hi]!\n"


def test_control_tokens_in_a_message_stay_text(seen: Seen) -> None:
    seen.prompt({"role": "user", "content": "<|im_end|>"})
    control = seen.model.tokenizer.find("<|im_end|>")
    assert control is not None
    assert control not in seen.prompts[-1]

    list(seen.model.generate("<|im_end|>\n", SamplingParams(max_tokens=1)))
    assert control in seen.prompts[-1]  # in a plain completion they are control tokens


def test_calls_and_their_results_reach_the_prompt(seen: Seen) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    result = {"role": "tool", "tool_call_id": "c1", "content": "2"}
    mappings = [USER, {"role": "assistant", "tool_calls": [call]}, result]
    messages = [
        Message(role="user", content="Hi"),
        Message(role="assistant", tool_calls=(ToolCall(id="c1", name="add", arguments='{"a": 1}'),)),
        Message(role="tool", tool_call_id="c1", content="2"),
    ]
    prompt = seen.prompt(*mappings)
    assert prompt == seen.prompt(*messages)
    assert '"name": "add"' in prompt
    assert "2" in prompt


def test_leaving_the_answer_ends_it(seen: Seen) -> None:
    answer = seen.model.chat([USER])
    next(answer)
    answer.close()
    assert "".join(seen.model.chat([USER])) == "Hello there"


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        (["Hi"], "messages[0]"),
        ([USER, {"role": "robot", "content": "x"}], "messages[1].role"),
        ([{"content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": 7}], "messages[0].content"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "messages[0].content[0]"),
        ([{"role": "assistant", "tool_calls": [{"id": "x"}]}], "messages[0].tool_calls[0]"),
    ],
)
def test_an_invalid_message_is_named(seen: Seen, messages: list[Any], param: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        seen.model.chat(messages)
    assert refused.value.param == param
    assert "\n" not in str(refused.value)


def test_a_conversation_that_is_too_long_is_refused(seen: Seen) -> None:
    with pytest.raises(ContextLengthError, match="your messages resulted in") as refused:
        seen.model.chat([{"role": "user", "content": "x " * 500}])
    assert refused.value.param == "messages"


def test_a_template_error_is_raised_in_the_caller(tmp_path: Path) -> None:
    template = "{{ raise_exception('no') }}"
    path = scripted_model(tmp_path / "m.gguf", {"\n": "x"}, chat_template=template)
    with Model(path) as model, pytest.raises(TemplateError, match="no"):
        model.chat([USER])


def test_a_model_without_vocabulary_is_refused_with_the_reason() -> None:
    with Model.of(bundle(FakeRunner(), text=False)) as model, pytest.raises(OxillamaError, match="no vocabulary"):
        model.chat([USER])


TOOLS_TEMPLATE = (
    "{# <think></think> #}{% if tools %}{{ tools | tojson }}{% endif %}"
    "{% for m in messages %}[{{ m.role }}:{{ m.content }}{% for c in m.tool_calls or [] %}"
    "<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}]{% endfor %}{{ '\n' if not done else '>' }}"
)
CALL = '<think>\nHm.\n</think>\n\nWell.\n<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
ADD: dict[str, Any] = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}


@pytest.fixture
def calling(tmp_path: Path) -> Iterator[Model]:
    script = {"\n": CALL, ">": "It is 2."}
    path = scripted_model(tmp_path / "m.gguf", script, chat_template=TOOLS_TEMPLATE, vocab="bpe", n_ctx=512)
    with Model(path, n_threads=1) as model:
        yield model


def test_a_reply_has_calls_and_reasoning(calling: Model) -> None:
    reply = calling.chat([USER], tools=[ADD]).reply
    assert (reply.content, reply.reasoning, reply.finish_reason) == ("Well.", "Hm.", "tool_calls")
    (call,) = reply.tool_calls
    assert (call.name, call.arguments) == ("add", '{"a": 1}')
    assert reply.reasoning_tokens > 0


def test_the_conversation_goes_on_with_the_message_of_a_reply(calling: Model) -> None:
    tool = Tool(name="add", parameters=ADD["function"]["parameters"])
    first = calling.chat([USER], tools=[tool]).reply
    result = Message(role="tool", content="2", tool_call_id=first.tool_calls[0].id)
    answer = calling.chat([Message(role="user", content="Hi"), first.message, result], tools=[tool], done=True)
    assert answer.reply.content == "It is 2."
    assert answer.reply.finish_reason == "stop"


def test_iterating_yields_the_text_alone(calling: Model) -> None:
    answer = calling.chat([USER], tools=[ADD])
    assert "".join(answer) == "Well."
    assert len(answer.reply.tool_calls) == 1  # also after the text


def test_parts_are_everything_in_order(calling: Model) -> None:
    kinds = [type(part).__name__ for part in calling.chat([USER], tools=[ADD]).parts()]
    assert list(dict.fromkeys(kinds)) == ["Reasoning", "Content", "CallBegan", "Arguments", "CallEnded", "Ended"]


def test_a_closed_answer_has_no_reply(calling: Model) -> None:
    answer = calling.chat([USER])
    next(answer)
    answer.close()
    with pytest.raises(GenerationError, match="closed"):
        _ = answer.reply


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"tools": ["add"]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        ({"tools": [ADD, Tool(name="f", parameters={"type": "string"})]}, "tools[1].function.parameters"),
        ({"tools": [ADD], "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [ADD], "tool_choice": {"type": "function", "function": {"name": "sub"}}}, "tool_choice"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": []}}},
            "response_format.json_schema.schema",
        ),
        ({"response_format": 5}, "response_format"),
        ({"response_format": "json_object"}, "response_format"),
        ({"reasoning_budget": -1}, "reasoning_budget"),
        ({"reasoning_budget": "x"}, "reasoning_budget"),
        ({"reasoning_budget": 1.5}, "reasoning_budget"),
    ],
)
def test_options_that_make_no_sense_are_named(calling: Model, options: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        calling.chat([USER], **options)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("name", "instead"),
    [("regex", "Regex"), ("grammar", "Grammar"), ("json_schema", "JsonSchema"), ("guided_choice", "OneOf")],
)
def test_a_form_by_a_servers_name_is_refused_with_the_right_one(calling: Model, name: str, instead: str) -> None:
    values: dict[str, Any] = {name: "a"}
    with pytest.raises(InvalidParameterError) as refused:
        calling.chat([USER], **values)
    assert refused.value.param == name
    assert f"response_format=oxillama.chat.options.{instead}(" in str(refused.value)
