"""The prompt of a run: which messages of a thread it has, and in which form."""

from __future__ import annotations

from typing import Any

import pytest

from oxillama.assistants.run.prompt import PromptBudgetError, build_prompt
from oxillama.errors import ContextLengthError
from tests.support.fake_engine import BOS, FakeEngine
from tests.support.records import a_message, a_run


def run(**fields: Any) -> Any:
    return a_run("thread_x", **fields)


async def prompt_text(engine: FakeEngine, fields: dict[str, Any], *texts: str) -> str:
    prompt = await build_prompt(engine, run(**fields), [a_message(text) for text in texts])
    return engine.tokenizer.decode(prompt.ids).decode()


async def test_instructions_come_first_and_messages_without_text_are_left_out() -> None:
    text = await prompt_text(FakeEngine(), {"instructions": "S"}, "u", "", "v")
    assert text == "<system>S</system><user>u</user><user>v</user><assistant>"


async def test_a_prompt_begins_with_one_bos() -> None:
    prompt = await build_prompt(FakeEngine(), run(), [a_message("x")])
    assert prompt.ids[0] == BOS
    assert prompt.ids.count(BOS) == 1


async def test_last_messages_keeps_the_newest() -> None:
    strategy = {"type": "last_messages", "last_messages": 2}
    text = await prompt_text(FakeEngine(), {"truncation_strategy": strategy}, "one", "two", "three")
    assert "one" not in text
    assert text.index("two") < text.index("three")


@pytest.mark.parametrize("n_ctx", [100, 200, 333, 1000])
async def test_auto_leaves_out_no_more_of_the_middle_than_necessary(n_ctx: int) -> None:
    engine = FakeEngine(n_ctx=n_ctx)
    texts = [f"message {n:02}" for n in range(40)]
    messages = [a_message(text) for text in texts]
    prompt = await build_prompt(engine, run(), messages)
    kept = [text for text in texts if text in engine.tokenizer.decode(prompt.ids).decode()]
    room = n_ctx - n_ctx // 4
    assert len(prompt.ids) <= room
    assert len(kept) == 40 - prompt.dropped
    assert kept == [texts[0], *texts[1 + prompt.dropped :]]
    one_more = await build_prompt(FakeEngine(n_ctx=10_000), run(), [messages[0], *messages[prompt.dropped :]])
    assert len(one_more.ids) > room


async def test_the_newest_message_always_stays() -> None:
    engine = FakeEngine(n_ctx=80)
    text = await prompt_text(engine, {}, "old " * 30, "older " * 30, "the newest")
    assert "the newest" in text
    assert "old" not in text


async def test_messages_are_left_out_to_keep_the_prompt_budget_or_the_run_ends() -> None:
    engine = FakeEngine(n_ctx=2000)
    prompt = await build_prompt(engine, run(max_prompt_tokens=256), [a_message("x" * 100) for _ in range(9)])
    assert len(prompt.ids) <= 256
    assert prompt.dropped == 7
    with pytest.raises(PromptBudgetError):
        await build_prompt(engine, run(max_prompt_tokens=256), [a_message("x" * 300)])


async def test_a_message_longer_than_the_context_is_an_error() -> None:
    with pytest.raises(ContextLengthError, match="maximum context length is 100 tokens"):
        await build_prompt(FakeEngine(n_ctx=100), run(), [a_message("x" * 200)])


async def test_an_empty_thread_is_prompted_with_the_beginning_of_a_text(caplog: pytest.LogCaptureFixture) -> None:
    prompt = await build_prompt(FakeEngine(), run(), [])
    assert prompt.ids == (BOS,)
    assert "empty prompt" in caplog.text
