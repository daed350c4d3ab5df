"""What a model thinks before it answers is folded on the page, and goes with the next turn."""

from __future__ import annotations

from typing import Any

from tests.support.fake_engine import FakeChatTemplate
from tests.ui.conftest import answered, say

THINKS = FakeChatTemplate(source="<think> </think>")
REPLY = "<think>\nIs <b>this</b> hard?\n</think>\n\nNo, it is not."


def test_thoughts_are_folded_before_the_answer(open_chat: Any) -> None:
    chat = open_chat(reply=REPLY, chat_template=THINKS)
    page = chat.visit()

    say(page, "Hi")

    assert answered(page) == "No, it is not."
    thought = page.locator(".thought")
    assert not thought.is_visible()
    page.get_by_text("Thought before the answer").click()
    assert thought.inner_text() == "Is <b>this</b> hard?"
    page.reload()
    page.get_by_text("Thought before the answer").click()
    assert page.locator(".thought").inner_text() == "Is <b>this</b> hard?"


def test_thoughts_go_with_the_next_turn(open_chat: Any) -> None:
    chat = open_chat(reply=REPLY, chat_template=THINKS)
    page = chat.visit()
    say(page, "Hi")
    answered(page)

    say(page, "Sure?")
    answered(page, 2)

    prompt = chat.engine.prompt_text(chat.engine.requests[1])
    assert "Is <b>this</b> hard?" in prompt
    assert prompt.index("hard?") < prompt.index("No, it is not.") < prompt.index("Sure?")


def test_the_page_says_that_the_model_is_thinking(open_chat: Any) -> None:
    page = open_chat(reply="<think>" + "well, " * 200, chat_template=THINKS, delay_s=0.02).visit()

    say(page, "Hi")

    page.get_by_text("Thinking…").wait_for()
    page.keyboard.press("Escape")
    page.get_by_text("Stopped.").wait_for()
    page.get_by_text("Thought before the answer").wait_for()


def test_an_answer_without_thoughts_shows_none(open_chat: Any) -> None:
    page = open_chat(reply="Hello").visit()
    say(page, "Hi")
    assert answered(page) == "Hello"
    assert not page.locator(".thoughts").is_visible()
