"""The chat template of the demonstration model, in the sandboxed process, against the Python that training uses."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from oxillama.embedded.chat import TEMPLATE, call_text, pieces, render
from oxillama.embedded.data.conversations import sample
from oxillama.embedded.data.turns import tools
from oxillama.text.templates.template import ChatTemplate

TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"é": {"type": "string"}}}},
}


@pytest.fixture(scope="module")
def template() -> Iterator[ChatTemplate]:
    template = ChatTemplate({"default": TEMPLATE}, {})
    yield template
    template.close()


def test_the_template_renders_the_training_format(template: ChatTemplate) -> None:
    rng = random.Random(12)
    conversations = [sample(rng) for _ in range(40)] + [tools.sample(rng) for _ in range(20)]
    for messages, functions in conversations:
        for end in (len(messages), 1):
            prompt = messages[:end]
            assert template.render(prompt, tools=functions).text == render(prompt, functions)


def test_a_conversation_without_a_system_prompt_begins_with_the_user(template: ChatTemplate) -> None:
    text = template.render([{"role": "user", "content": "Hi"}]).text
    assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_parts_of_text_count_as_their_texts(template: ChatTemplate) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert template.render([{"role": "user", "content": parts}]).text == render([{"role": "user", "content": "ab"}])


def test_a_developer_is_the_system(template: ChatTemplate) -> None:
    user = {"role": "user", "content": "Hi"}
    as_developer, as_system = [{"role": "developer", "content": "x"}, user], [{"role": "system", "content": "x"}, user]
    assert template.render(as_developer).text == render(as_system)


def test_a_returned_call_is_rendered_as_the_model_wrote_it(template: ChatTemplate) -> None:
    wrote = call_text("f", {"é": "1"}).replace("\\u00e9", "é")
    for arguments in ({"é": "1"}, json.dumps({"é": "1"}, ensure_ascii=False)):
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
        for content in (None, ""):
            given: list[dict[str, Any]]
            given = [{"role": "user", "content": "u"}, {"role": "assistant", "content": content, "tool_calls": [call]}]
            written = [{"role": "user", "content": "u"}, {"role": "assistant", "content": wrote}]
            assert template.render(given, tools=[TOOL]).text == render(written, [TOOL])


def test_several_calls_are_written_one_per_line(template: ChatTemplate) -> None:
    call = {"function": {"name": "f", "arguments": {}}}
    messages: list[Any]
    messages = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "Both:", "tool_calls": [call, call]}]
    one = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'
    assert f"assistant\nBoth:\n{one}\n{one}<|im_end|>" in template.render(messages, tools=[TOOL]).text


def test_only_the_assistants_messages_are_learnt() -> None:
    rng = random.Random(13)
    for _ in range(50):
        messages, functions = sample(rng)
        learnt = "".join(text for text, flag in pieces(messages, functions) if flag)
        texts = ["".join(text for text, flag in m.get("parts", [(m["content"], m.get("learnt", True))]) if flag)
                 for m in messages if m["role"] == "assistant"]  # fmt: skip
        assert learnt == "".join(text + "<|im_end|>" if text else "" for text in texts)
