"""`Model.chat` gives the same text for a conversation as the server."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import oxillama
from oxillama import Message, Model, SamplingParams, ToolCall
from oxillama.errors import ContextLengthError, InvalidParameterError, OxillamaError, TemplateError
from tests.support.fake_runner import FakeRunner, bundle
from tests.support.scripted_model import scripted_model

USER = {"role": "user", "content": "Hi"}
SHOWS = "{% for m in messages %}[{{ m.role }}:{{ m.content }}]{% endfor %}{{ extra or '' }}{{ '\\n' }}"


class Seen:
    """A model that records its prompts."""

    def __init__(self, path: Path) -> None:
        self.model = Model(path, n_threads=1)
        self.prompts: list[tuple[int, ...]] = []
        start = self.model._start_generation

        def noting(ids: tuple[int, ...], *args: Any, **kwargs: Any) -> Any:
            self.prompts.append(ids)
            return start(ids, *args, **kwargs)

        self.model._start_generation = noting

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
    cast("Generator[str]", answer).close()
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
