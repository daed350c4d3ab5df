"""What published templates write for histories, models write as well: it is read back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxillama.chat.conversation import ToolCall
from oxillama.chat.formats import WireFormat, format_of
from oxillama.text import ChatTemplate
from oxillama.text.prompt_text import PromptText
from tests.support.odd_calls import CALLS, CONTENTS, TOOLS, tokens_of
from tests.support.replies import WHOLE, Specials, read_tokens
from tests.support.shared import shared

# Template → the special tokens of the model's vocabulary, and what ends a turn.
TEMPLATES = {
    "Qwen3-Coder": (["<tool_call>", "</tool_call>"], ["<|im_end|>"]),
    "ByteDance-Seed-OSS": (
        ["<seed:tool_call>", "</seed:tool_call>", "<seed:think>", "</seed:think>"],
        ["<seed:eos>"],
    ),
    "MiniMax-M2": (["<minimax:tool_call>", "</minimax:tool_call>", "<think>", "</think>"], ["[e~["]),
    "GLM-4.6": (
        [
            "<tool_call>",
            "</tool_call>",
            "<arg_key>",
            "</arg_key>",
            "<arg_value>",
            "</arg_value>",
            "<think>",
            "</think>",
        ],
        [],
    ),
    "LFM2-8B-A1B": (["<|tool_call_start|>", "<|tool_call_end|>"], ["<|im_end|>"]),
    "google-gemma-4-31B-it": (
        ["<|tool_call>", "<tool_call|>", '<|"|>', "<|channel>", "<channel|>"],
        ["<|tool_response>", "<turn|>"],
    ),
}
NONE: dict[str, Any] = {"type": "object", "properties": {}}
OFFERED = [
    {"type": "function", "function": {"name": tool.name, "description": "x", "parameters": tool.parameters or NONE}}
    for tool in TOOLS
]
Calls = list[tuple[str, dict[str, Any]]]


class Replies:
    """The replies of one template."""

    def __init__(self, name: str, template: ChatTemplate, vocabulary: Specials) -> None:
        self._name = name
        self._template = template
        self._ends = TEMPLATES[name][1]
        self.format = format_of(template, vocabulary)

    def reply(self, content: str, reasoning: str, calls: Calls) -> tuple[str, PromptText]:
        """The beginning of the reply's turn, and the reply without the token that ends it."""
        user: list[dict[str, Any]] = [{"role": "user", "content": "Please."}]
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if reasoning:
            message |= {"reasoning_content": reasoning, "reasoning": reasoning}
        if calls and self._name == "LFM2-8B-A1B":  # it has no place for calls, so they are written for it
            made = [ToolCall(id="", name=name, arguments=_json(arguments)) for name, arguments in calls]
            message["content"] = content + "\n" * bool(content) + self.format.write(made).text
        elif calls:
            functions = [{"name": name, "arguments": arguments} for name, arguments in calls]
            message["tool_calls"] = [{"id": "x", "type": "function", "function": one} for one in functions]
        values: dict[str, Any] = {"tools": OFFERED, "enable_thinking": True}
        prompt = self._template.render(user, add_generation_prompt=True, **values).text
        whole = self._template.render([*user, message], add_generation_prompt=False, **values)
        alike = (at for at, (one, other) in enumerate(zip(prompt, whole.text, strict=False)) if one != other)
        start = next(alike, min(len(prompt), len(whole.text)))
        end = len(whole.text.rstrip("\n"))
        for mark in self._ends:
            end -= len(mark) * whole.text[:end].endswith(mark)
        spans = [(max(first, start) - start, min(last, end) - start) for first, last in whole.content if last > start]
        return prompt[:start], PromptText(whole.text[start:end], tuple(span for span in spans if span[0] < span[1]))


@contextmanager
def replies(name: str, *, tokens: bool) -> Iterator[tuple[Replies, Specials]]:
    source = shared(f"templates/{name}.jinja").read_text(encoding="utf-8")
    template = ChatTemplate({"default": source}, {"bos_token": "<s>", "eos_token": "</s>"})
    vocabulary = Specials(TEMPLATES[name][0] if tokens else ())
    try:
        yield Replies(name, template, vocabulary), vocabulary
    finally:
        template.close()


def _json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("tokens", [True, False], ids=["tokens", "texts"])
@pytest.mark.parametrize("name", TEMPLATES)
def test_replies_as_the_template_writes_them(name: str, tokens: bool) -> None:
    _check(name, tokens, 6)


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [True, False], ids=["tokens", "texts"])
@pytest.mark.parametrize("name", TEMPLATES)
def test_many_replies_as_the_template_writes_them(name: str, tokens: bool) -> None:
    _check(name, tokens, 100)


def _check(name: str, tokens: bool, examples: int) -> None:
    with replies(name, tokens=tokens) as (made, vocabulary):

        @settings(max_examples=examples, deadline=None)
        @given(st.just([]) | CALLS, st.sampled_from(CONTENTS), st.sampled_from(["", "Hm\nno"]))
        def check(calls: Calls, content: str, reasoning: str) -> None:
            if not calls:
                content = content or "Well."
            if name in ("Qwen3-Coder", "LFM2-8B-A1B") or (name.startswith("google") and not calls):
                reasoning = ""  # the template has no place for it
            if not tokens and _spells(made.format, _json(calls)):
                return
            begun, reply = made.reply(content, reasoning, calls)
            for cuts in ((), WHOLE):
                parser = made.format.parser(TOOLS, prompt_tail=begun)
                read = read_tokens(parser, tokens_of(vocabulary, reply, cuts))
                assert read.values == calls
                assert all(read.complete)
                assert (read.content.strip(), read.reasoning.strip()) == (content, reasoning)

        check()


def _spells(format_: WireFormat, text: str) -> bool:
    """Whether the text contains a marker that is not a special token, so that nothing tells it from one."""
    return any(marker and marker in text for marker in format_.family.texts())
