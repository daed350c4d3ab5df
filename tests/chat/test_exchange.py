"""From a conversation and options to prompt, reader and constraint, with published templates."""

from __future__ import annotations

from typing import Any

import pytest

from oxillama.chat.conversation import Message
from oxillama.chat.exchange import ENOUGH, Exchange, prepare_here
from oxillama.chat.options import ChatOptions, Thinking
from oxillama.engine.api.types import SamplingParams
from oxillama.engine.constraints.grammars import Grammars
from tests.support.fake_engine import FakeTokenizer
from tests.support.shared import shared
from tests.support.templates import chat_template

USER = [Message(role="user", content="Hi")]


TOKENIZER = FakeTokenizer()
GRAMMARS = Grammars(TOKENIZER, TOKENIZER.n_vocab)


def exchange_of(source: str, tokenizer: FakeTokenizer = TOKENIZER, **options: Any) -> Exchange:
    return prepare_here(chat_template(source), tokenizer, USER, ChatOptions(**options), GRAMMARS.compile)


def prompt_of(source: str, **options: Any) -> str:
    return FakeTokenizer().decode(exchange_of(source, **options).prompt).decode()


def published(name: str) -> str:
    return shared(f"templates/{name}.jinja").read_text(encoding="utf-8")


OFF = Thinking(enabled=False)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("Qwen-Qwen3-0.6B", "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        ("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "<think>\n</think>"),
        ("deepseek-ai-DeepSeek-V3.1", "</think>"),
        ("GLM-4.6", "<think></think>"),
        ("openai-gpt-oss-120b", "<|start|>assistant<|channel|>analysis<|message|><|end|><|start|>assistant"),
        ("MiniMax-M2", "<think>\n\n</think>\n\n"),
        ("Qwen-Qwen2.5-7B-Instruct", "<|im_start|>assistant\n"),
        ("meta-llama-Llama-3.2-3B-Instruct", "<|start_header_id|>assistant<|end_header_id|>\n\n"),
    ],
)
def test_thinking_is_off_by_the_templates_switch_or_by_hand(name: str, end: str) -> None:
    assert prompt_of(published(name), thinking=OFF).endswith(end)


THINKS = "{% for m in messages %}{{ m.content }}{% endfor %}A:<think>{{ '\\n' }}"
FREE = "{# <think> </think> #}{% for m in messages %}{{ m.content }}{% endfor %}A:"


def test_an_open_and_an_absent_beginning_are_closed_by_hand() -> None:
    assert prompt_of(THINKS, thinking=OFF) == "HiA:<think>\n\n</think>\n\n"
    assert prompt_of(FREE, thinking=OFF) == "HiA:<think>\n\n</think>\n\n"
    assert prompt_of(FREE) == "HiA:"
    assert prompt_of("{{ messages[0].content }}A:", thinking=OFF) == "HiA:"  # it does not think


def read(exchange: Exchange, text: str, **sampling: Any) -> tuple[str, list[Any], bytes]:
    """(kinds of parts in order, the parts, what was forced)."""
    request = exchange.request(SamplingParams(**sampling))
    assert request.reader is not None
    reader, forced = request.reader(), b""
    parts: list[Any] = []
    for token in FakeTokenizer().encode(text, False):
        reading = reader.push(token)
        parts += reading.parts
        forced += FakeTokenizer().decode(reading.forced)
    parts += reader.end(truncated=False)
    kinds = [type(part).__name__ for part in parts]
    return " ".join(dict.fromkeys(kinds)), parts, forced


def test_the_reader_begins_where_the_prompt_ends() -> None:
    assert read(exchange_of(THINKS), "no</think>yes")[0] == "Reasoning Content Ended"
    assert read(exchange_of(THINKS, thinking=OFF), "yes")[0] == "Content Ended"
    assert read(exchange_of(FREE), "yes")[0] == "Content Ended"
    assert read(exchange_of(FREE), "<think>no</think>yes")[0] == "Reasoning Content Ended"


def test_a_spent_budget_forces_a_sentence_and_the_familys_closer() -> None:
    _, _, forced = read(exchange_of(THINKS, thinking=Thinking(budget=4)), "abcdefgh")
    assert forced.decode().startswith(f"{ENOUGH}</think>")
    harmony = exchange_of(published("openai-gpt-oss-120b"), thinking=Thinking(budget=4))
    _, _, forced = read(harmony, "<|channel|>analysis<|message|>abcdefgh")
    assert forced.decode().startswith(f"{ENOUGH}<|end|><|start|>assistant")


def test_stop_strings_and_min_tokens_come_from_the_sampling_parameters() -> None:
    exchange = exchange_of(FREE)
    assert exchange.request(SamplingParams(stop=("b",))).sampling.stop == ()
    said = "".join(part.text for part in read(exchange, "abcb", stop=("b",))[1][:-1])
    assert said == "a"
    said = "".join(part.text for part in read(exchange, "abcb", stop=("b",), min_tokens=2)[1][:-1])
    assert said == "abc"


@pytest.mark.parametrize(
    ("source", "effort", "value"),
    [
        ("{{ reasoning_effort }}", "minimal", "minimal"),
        ("{{ 'low' 'medium' 'high' }}{{ reasoning_effort }}", "xhigh", "high"),
        ("{{ 'low' 'medium' 'high' }}{{ reasoning_effort }}", "none", "low"),
        ("{{ 'none' 'high' }}{{ reasoning_effort }}", "medium", "high"),
    ],
)
def test_a_degree_that_a_template_does_not_name_becomes_the_nearest(source: str, effort: Any, value: str) -> None:
    text = prompt_of(f"{{{{ messages[0].content }}}}{source}", thinking=Thinking(effort=effort))
    assert text.endswith(value)


def test_tokens_that_end_a_familys_reply_end_the_generation() -> None:
    class Ends(FakeTokenizer):
        def find(self, text: str) -> int | None:
            return 99 if text == "<|im_end|>" else super().find(text)

    source = published("Qwen-Qwen3-0.6B")
    exchange = exchange_of(source, Ends())
    request = exchange.request(SamplingParams(stop_token_ids=frozenset({5})))
    assert request.sampling.stop_token_ids == {5, 99}
