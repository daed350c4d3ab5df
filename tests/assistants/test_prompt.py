"""What of a thread reaches the model, and in which shape."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from oxillama.assistants.prompt import PromptBudgetError, build_prompt, folded, format_thread_prompt, merged, render
from oxillama.errors import ContextLengthError, TemplateError
from oxillama.text import PromptText
from tests.support.fake_engine import BOS, FakeChatTemplate, FakeEngine
from tests.support.records import a_message, a_run

if TYPE_CHECKING:
    from collections.abc import Callable


class Strict(FakeChatTemplate):
    """A template that refuses what `wrong` finds in a conversation."""

    def __init__(self, wrong: Callable[[list[str]], bool]) -> None:
        super().__init__()
        self.source = "{{ messages }}"
        self.wrong = wrong

    def render(self, messages: Any, **kwargs: Any) -> PromptText:
        if self.wrong([m["role"] for m in messages]):
            raise TemplateError("Conversation roles must alternate")
        return super().render(messages, **kwargs)


def run(**fields: Any) -> Any:
    return a_run("thread_x", **fields)


async def prompt_text(engine: FakeEngine, fields: dict[str, Any], *texts: str) -> str:
    prompt = await build_prompt(engine, run(**fields), [a_message(text) for text in texts])
    return engine.tokenizer.decode(prompt.ids).decode()


def test_the_builtin_format_is_the_documented_one() -> None:
    text = format_thread_prompt("Be kind.", [a_message("Hi"), a_message("Ho", role="assistant")]).text
    assert text == ("<|system|>\nBe kind.\n<|end|>\n<|user|>\nHi\n<|end|>\n<|assistant|>\nHo\n<|end|>\n<|assistant|>\n")
    assert format_thread_prompt("", []).text == ""


async def test_a_model_with_a_template_is_prompted_through_it() -> None:
    engine = FakeEngine(chat_template=Strict(lambda roles: False))
    assert await prompt_text(engine, {"instructions": "S"}, "u") == "<system>S</system><user>u</user><assistant>"


async def test_a_prompt_begins_with_the_beginning_of_text_once() -> None:
    prompt = await build_prompt(FakeEngine(), run(), [a_message("x")])
    assert prompt.ids[0] == BOS
    assert prompt.ids.count(BOS) == 1


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (lambda roles: any(a == b for a, b in pairwise(roles)), "<system>S</system><user>a\n\nb</user>"),
        (lambda roles: "system" in roles, "<user>S\n\na\n\nb</user>"),
    ],
    ids=["roles must alternate", "no system role"],
)  # fmt: skip
async def test_a_template_that_refuses_a_shape_is_offered_a_plainer_one(wrong: Any, expected: str) -> None:
    engine = FakeEngine(chat_template=Strict(wrong))
    assert await prompt_text(engine, {"instructions": "S"}, "a", "b") == expected + "<assistant>"


async def test_a_template_that_refuses_everything_is_an_error() -> None:
    engine = FakeEngine(chat_template=Strict(lambda roles: True))
    with pytest.raises(TemplateError, match="alternate"):
        await render(engine, "S", [a_message("a")])


def test_merging_and_folding_lose_no_text() -> None:
    turns = [{"role": r, "content": c} for r, c in [("system", "s"), ("user", "a"), ("user", "b"), ("assistant", "c")]]
    assert [t["content"] for t in merged(turns)] == ["s", "a\n\nb", "c"]
    assert [(t["role"], t["content"]) for t in merged(folded(turns))] == [("user", "s\n\na\n\nb"), ("assistant", "c")]


async def test_last_messages_keeps_the_newest() -> None:
    strategy = {"type": "last_messages", "last_messages": 2}
    text = await prompt_text(FakeEngine(), {"truncation_strategy": strategy}, "one", "two", "three")
    assert "one" not in text
    assert text.index("two") < text.index("three")


@pytest.mark.parametrize("n_ctx", [100, 200, 333, 1000])
async def test_auto_leaves_out_the_middle_and_no_more_than_it_must(n_ctx: int) -> None:
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


async def test_a_prompt_budget_is_kept_by_leaving_out_or_ends_the_run() -> None:
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
