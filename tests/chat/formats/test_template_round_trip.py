"""Published templates: what a template writes for an assistant's turn is read back to the same turn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oxillama.chat.formats.detect import format_of
from oxillama.chat.formats.detect.probe import common_start
from oxillama.chat.formats.wire import WireFormat
from oxillama.chat.tools import Tool
from oxillama.errors import TemplateError
from oxillama.text import ChatTemplate
from tests.support.replies import WHOLE, Read, Specials, read_tokens, single_tokens
from tests.support.reply_values import ODD
from tests.support.shared import ROOT, shared

NAMES = sorted(path.stem for path in (ROOT / "templates").glob("*.jinja")) or ["(none)"]
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "list": {"type": "array"},
        "record": {"type": "object"},
        "sure": {"type": "boolean"},
    },
}
TOOLS = [Tool(name="get_weather", description="Weather", parameters=SCHEMA), Tool(name="now", parameters=SCHEMA)]
GIVEN_TOOLS = [
    {"type": "function", "function": {"name": t.name, "description": t.name, "parameters": t.parameters}} for t in TOOLS
]
FIRST = "\u2603"
NESTED = {"a": ["x", 1, None, True], "b": {"c": 'q"\n'}}

FOUND = {
    "ByteDance-Seed-OSS": ("Seed-OSS", True),
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use": ("Command R7B", True),
    "GLM-4.6": ("GLM 4.5", True),
    "HuggingFaceTB-SmolLM3-3B": ("prompted", False),
    "Kimi-K2-Instruct": ("Kimi K2", True),
    "LFM2-8B-A1B": ("LFM2", True),
    "MiniMax-M2": ("MiniMax M2", True),
    "Mistral-Small-3.2-24B-Instruct-2506": ("Mistral Small 3.2", True),
    "NVIDIA-Nemotron-Nano-v2": ("Nemotron Nano v2", True),
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": ("Hermes", True),
    "Qwen-Qwen2.5-7B-Instruct": ("Qwen2.5", True),
    "Qwen-Qwen3-0.6B": ("Qwen3", True),
    "Qwen3-Coder": ("Qwen3-Coder", True),
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": ("DeepSeek V3", False),
    "deepseek-ai-DeepSeek-V3.1": ("DeepSeek V3.1", False),
    "google-gemma-2-2b-it": ("prompted", False),
    "google-gemma-4-31B-it": ("Gemma 4", True),
    "ibm-granite-granite-3.3-2B-Instruct": ("Granite 3", True),
    "ibm-granite-granite-4.0": ("Granite 4", True),
    "meta-llama-Llama-3.1-8B-Instruct": ("Llama 3", True),
    "meta-llama-Llama-3.2-3B-Instruct": ("Llama 3", True),
    "microsoft-Phi-3.5-mini-instruct": ("prompted", False),
    "mistralai-Mistral-Nemo-Instruct-2407": ("Mistral", True),
    "openai-gpt-oss-120b": ("gpt-oss", True),
}
"""The family, and whether the template shows tools."""
LOSES_CALLS = {
    "HuggingFaceTB-SmolLM3-3B",
    "LFM2-8B-A1B",
    "google-gemma-2-2b-it",
    "ibm-granite-granite-3.3-2B-Instruct",
    "microsoft-Phi-3.5-mini-instruct",
}
ONE_CALL = {"openai-gpt-oss-120b"}
NULL_CONTENT = {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B"}

_CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"])
# A closing tag alone in a value cannot be told from one that the model wrote twice.
STRINGS = st.sampled_from([*(text for text in ODD if "</parameter>" not in text), "Zürich", "it's"]) | st.text(
    _CHARACTERS, max_size=8
)
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "city": STRINGS,
        "days": st.integers(-(2**63), 2**63),
        "list": st.just([1, "a", None]) | st.lists(st.integers() | STRINGS, max_size=3),
        "record": st.just(NESTED) | st.just({}),
        "sure": st.booleans(),
    },
)
CALLS = st.lists(st.tuples(st.sampled_from(["get_weather", "now"]), ARGUMENTS), max_size=3)
few = settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

_open = ExitStack()


@pytest.fixture(scope="module", autouse=True)
def _templates() -> Iterator[None]:
    with _open:
        yield
        template.cache_clear()


@cache
def template(name: str) -> ChatTemplate:
    source = shared(f"templates/{name}.jinja").read_text(encoding="utf-8")
    made = ChatTemplate({"default": source}, {"bos_token": "<s>", "eos_token": "</s>"})
    _open.callback(made.close)
    return made


def rendered(made: ChatTemplate, assistant: dict[str, Any]) -> str | None:
    """The conversation with the assistant's turn in the last place, or with a user's after it."""
    messages = [{"role": "user", "content": "Hi"}, assistant]
    if "messages[-1]['role'] == 'assistant'" in (made.source or ""):
        messages.append({"role": "user", "content": "Next"})  # this template writes the last turn in another form
    try:
        return made.render(messages, tools=GIVEN_TOOLS, add_generation_prompt=False).text
    except TemplateError:
        return None


def turn(name: str, content: str, reasoning: str, calls: list[tuple[str, dict[str, Any]]]) -> tuple[str, str] | None:
    """The end of the prompt before the assistant's turn, and the turn; None: the template refuses it."""
    made = template(name)
    assistant: dict[str, Any] = {"role": "assistant", "content": content}
    if reasoning:
        assistant |= {"reasoning_content": reasoning, "thinking": reasoning}
    if calls:
        if name in NULL_CONTENT and not content:
            assistant["content"] = None
        assistant["tool_calls"] = [
            {"id": f"{n:09}", "type": "function", "function": {"name": function, "arguments": arguments}}
            for n, (function, arguments) in enumerate(calls)
        ]
    text, plain = rendered(made, assistant), rendered(made, {"role": "assistant", "content": FIRST})
    if text is None or plain is None:
        return None
    start = len(re.sub(r"<[^<>\s]*$", "", common_start(text, plain)))  # no marker is cut
    end = plain[plain.index(FIRST) + 1 :]
    return text[:start][-120:], text[start:].removesuffix(end)


def read(wire: WireFormat, vocabulary: Specials, tail: str, body: str, cuts: tuple[int, ...]) -> Read:
    return read_tokens(wire.parser(TOOLS, prompt_tail=tail), vocabulary.tokens(body, cuts))


def check(name: str, data: st.DataObject) -> None:
    family = format_of(template(name), None).family
    texts = [text for text in single_tokens(family.texts()) if text[0] in "<["]
    calls = data.draw(CALLS)
    reasoning = data.draw(st.sampled_from(["", "So it is.", "First: a\n\nthen <b>."]))
    content = data.draw(st.sampled_from(["", "Well…", "Two\n\nlines {x}."]))
    if name in ONE_CALL and calls:
        content = ""  # the template takes it for reasoning
    found = turn(name, content, reasoning, calls)
    if found is None:
        return
    tail, body = found
    for stop in family.stops:
        body = body.partition(stop)[0]
    expected = [] if name in LOSES_CALLS else calls[:1] if name in ONE_CALL else calls
    for vocabulary in (Specials(()), Specials((), texts)):
        wire = WireFormat(family, vocabulary)
        for cuts in (WHOLE, (), tuple(data.draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=6)))):
            got = read(wire, vocabulary, tail, body, cuts)
            assert got.values == expected
            assert got.content.strip() == (content if content in body else "")
            assert got.reasoning.strip() == (reasoning if reasoning in body else "")
            assert all(got.complete)


@pytest.mark.parametrize("name", FOUND)
def test_published_templates_are_known(name: str) -> None:
    family = format_of(template(name), None).family
    assert (family.name, family.native) == FOUND[name]


@pytest.mark.parametrize("name", NAMES)
@few
@given(st.data())
def test_a_turn_is_read_back(name: str, data: st.DataObject) -> None:
    check(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@many
@given(st.data())
def test_a_turn_is_read_back_at_length(name: str, data: st.DataObject) -> None:
    check(name, data)
