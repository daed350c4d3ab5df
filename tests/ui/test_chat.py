"""The chat page in a browser: sending, streaming, stopping, regenerating, reloading, and a second tab."""

from __future__ import annotations

import re
from typing import Any

from tests.ui.conftest import answered, say, until

LONG = "one two three four five six seven eight nine ten " * 40


def test_an_answer_has_its_usage_and_timings(open_chat: Any) -> None:
    chat = open_chat(reply="Hello, world!")
    page = chat.visit()

    say(page, "Hi")

    assert answered(page) == "Hello, world!"
    assert page.locator(".message.user .body").inner_text() == "Hi"
    assert re.search(r"14 tokens\D+[\d,.]+ tokens/s\D+[\d.]+ s to the first", page.locator(".stats").inner_text())
    assert chat.engine.prompt_text(chat.engine.requests[0]) == "<user>Hi</user><assistant>"


def test_text_is_shown_while_it_is_written(open_chat: Any) -> None:
    page = open_chat(reply=LONG, delay_s=0.02).visit()

    say(page, "Count")
    page.get_by_text("one two").wait_for()

    assert page.locator(".message.assistant[aria-busy=true]").count() == 1
    assert page.locator("#stop").is_visible()
    page.keyboard.press("Escape")
    page.locator("#send").wait_for()


def test_stopping_keeps_what_was_written_and_ends_the_generation(open_chat: Any) -> None:
    chat = open_chat(reply=LONG, delay_s=0.02)
    page = chat.visit()
    say(page, "Count")
    page.get_by_text("one two").wait_for()

    page.locator("#stop").click()

    assert "one two" in answered(page)
    page.get_by_text("Stopped.").wait_for()
    page.locator("#prompt:focus").wait_for()
    until(page, lambda: chat.engine.active == 0)
    assert chat.engine.tokens < len(LONG)


def test_regenerating_adds_an_answer_beside_the_first(open_chat: Any) -> None:
    answers = iter(["first answer", "second answer"])
    chat = open_chat(reply=lambda request: next(answers))
    page = chat.visit()
    say(page, "Hi")
    assert answered(page) == "first answer"

    page.get_by_role("button", name="Answer again").click()

    page.locator(".prose", has_text="second answer").wait_for()
    page.get_by_text("2 / 2").wait_for()
    page.get_by_role("button", name="Earlier answer").click()
    page.locator(".prose", has_text="first answer").wait_for()
    assert page.locator(".prose", has_text="second answer").count() == 0
    prompts = [chat.engine.prompt_text(request) for request in chat.engine.requests]
    assert prompts == ["<user>Hi</user><assistant>"] * 2


def test_a_failed_regeneration_changes_nothing(open_chat: Any) -> None:
    answers = iter(["first", "second", "never"])
    chat = open_chat(reply=lambda request: next(answers))
    page = chat.visit()
    say(page, "A")
    answered(page)
    page.get_by_role("button", name="Answer again").click()
    page.get_by_text("2 / 2").wait_for()
    page.get_by_role("button", name="Earlier answer").click()
    page.get_by_text("1 / 2").wait_for()
    chat.engine.fail_at = 0

    page.get_by_role("button", name="Answer again").click()
    page.get_by_text("the scripted failure").wait_for()

    assert page.locator(".variants span").inner_text() == "1 / 2"
    assert answered(page) == "first"


def test_the_whole_conversation_is_sent_as_it_is_shown(open_chat: Any) -> None:
    answers = iter(["first", "second", "third"])
    chat = open_chat(reply=lambda request: next(answers))
    page = chat.visit()
    say(page, "A")
    answered(page)
    page.get_by_role("button", name="Answer again").click()
    page.get_by_text("2 / 2").wait_for()
    page.get_by_role("button", name="Earlier answer").click()
    page.get_by_text("1 / 2").wait_for()

    say(page, "B")
    answered(page, 2)

    sent = chat.engine.prompt_text(chat.engine.requests[-1])
    assert sent == "<user>A</user><assistant>first</assistant><user>B</user><assistant>"


def test_a_changed_message_replaces_the_messages_after_it(open_chat: Any) -> None:
    chat = open_chat(reply="fine")
    page = chat.visit()
    say(page, "A")
    answered(page)
    say(page, "B")
    answered(page, 2)

    page.locator(".message.user").first.get_by_role("button", name="Change this message").click()
    assert page.locator("#prompt").input_value() == "A"
    say(page, "A better question")

    page.locator(".message.user", has_text="A better question").wait_for()
    answered(page)
    assert page.locator(".message").count() == 2
    assert chat.engine.prompt_text(chat.engine.requests[-1]) == "<user>A better question</user><assistant>"


def test_a_reload_keeps_the_conversations(open_chat: Any) -> None:
    page = open_chat(reply="Hello, world!").visit()
    say(page, "First conversation")
    answered(page)
    page.get_by_role("button", name="New chat").first.click()
    say(page, "Second conversation")
    answered(page)

    page.reload()

    assert answered(page) == "Hello, world!"
    assert page.locator(".message.user .body").inner_text() == "Second conversation"
    assert page.locator("#threads .open").all_inner_texts() == ["Second conversation", "First conversation"]
    page.get_by_role("button", name="First conversation", exact=True).click()
    page.locator(".message.user", has_text="First conversation").wait_for()


def test_an_answer_that_a_reload_cut_off_is_marked_and_can_be_regenerated(open_chat: Any) -> None:
    chat = open_chat(reply=LONG, delay_s=0.02)
    page = chat.visit()
    say(page, "Count")
    page.get_by_text("one two three").wait_for()
    page.wait_for_timeout(1200)  # until it was stored once

    page.reload()

    page.get_by_text("This answer is not complete.").wait_for()
    assert "one two" in page.locator(".prose").inner_text()
    chat.engine.reply, chat.engine.delay_s = "All of it.", 0.0
    page.get_by_role("button", name="Answer again").click()
    page.locator(".prose", has_text="All of it.").wait_for()


def test_another_tab_sees_the_conversation_grow_and_leaves_it_alone(open_chat: Any) -> None:
    chat = open_chat(reply=LONG, delay_s=0.01)
    page = chat.visit()
    say(page, "Count")
    page.get_by_text("one two three").wait_for()
    page.wait_for_timeout(1000)

    other = chat.tab()
    other.get_by_role("button", name="Count", exact=True).click()

    other.get_by_text("This conversation is being answered in another tab.").wait_for()
    other.locator("#prompt").fill("Meanwhile")
    assert other.locator("#send").is_disabled()
    page.keyboard.press("Escape")
    other.get_by_text("Stopped.").wait_for()
    assert other.locator("#send").is_enabled()


def test_a_conversation_deleted_in_one_tab_is_gone_in_the_other(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit()
    say(page, "Hi")
    answered(page)
    other = chat.tab()
    other.get_by_role("button", name="Delete “Hi”").click()

    other.get_by_role("button", name="Delete", exact=True).click()

    page.get_by_text("This conversation was deleted in another tab.").wait_for()
    assert page.locator("#welcome").is_visible()
    assert other.locator("#threads .open").count() == 0


def test_settings_reach_the_server_and_outlive_a_reload(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit()
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("System prompt").fill("Be brief.")
    for name, value in [("Temperature", "0.3"), ("Top P", "0.5"), ("Longest answer", "5"), ("Seed", "7")]:
        page.get_by_label(name, exact=True).fill(value)
    page.get_by_role("button", name="Done").click()
    page.reload()

    say(page, "Hi")

    assert answered(page) == "Hello"
    page.get_by_text("Cut here").wait_for()
    sampling = chat.engine.requests[0].sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.seed) == (0.3, 0.5, 5, 7)
    expected = "<system>Be brief.</system><user>Hi</user><assistant>"
    assert chat.engine.prompt_text(chat.engine.requests[0]) == expected


def test_an_invalid_setting_is_named_and_not_applied(open_chat: Any) -> None:
    page = open_chat().visit()
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Temperature", exact=True).fill("3")

    page.get_by_role("button", name="Done").click()

    page.get_by_text("Temperature goes from 0 to 2.").wait_for()
    assert page.locator("#settings").is_visible()


def test_an_example_is_sent_with_a_click(open_chat: Any) -> None:
    page = open_chat().visit()
    page.locator("#model:enabled").wait_for()

    page.locator("#examples button").first.click()

    assert answered(page) == "Hello, world!"
    assert page.locator("#welcome").is_hidden()


def test_the_conversation_can_be_saved_as_markdown(open_chat: Any) -> None:
    page = open_chat(reply="Some *text*").visit()
    say(page, "Hi there")
    answered(page)

    with page.expect_download() as download:
        page.get_by_role("button", name="Save this conversation").click()

    assert download.value.suggested_filename == "Hi-there.md"
    saved = download.value.path().read_text()
    assert saved == "# Hi there\n\n**You**\n\nHi there\n\n---\n\n**fake-model**\n\nSome *text*\n"
