"""The page after an error: one clear line, and the way to recover."""

from __future__ import annotations

import json
from typing import Any

from tests.ui.conftest import answered, say

KEY = "sk-test-key-0001"


def test_an_unreachable_server_is_reported_and_tried_again(open_chat: Any) -> None:
    chat = open_chat(reply="Back again.")
    chat.expected = "Failed to load resource"
    page = chat.visit()
    page.locator("#model:enabled").wait_for()
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))

    say(page, "Hi")

    page.get_by_text("The server does not answer.").wait_for()
    assert page.locator(".message.user").count() == 1  # the typed text is not lost
    page.unroute("**/v1/**")
    page.get_by_role("button", name="Try again").click()
    assert answered(page) == "Back again."
    assert page.locator("#notice").is_hidden()


def test_the_page_waits_for_a_server_that_is_not_there_yet(open_chat: Any) -> None:
    chat = open_chat()
    chat.expected = "Failed to load resource"
    page = chat.visit("/docs")
    page.route("**/v1/models", lambda route: route.abort("connectionrefused"))
    page.goto(chat.url)
    page.get_by_text("The server does not answer.").wait_for()

    page.unroute("**/v1/models")

    page.locator("#model:enabled").wait_for()
    page.locator("#notice").wait_for(state="hidden")


def test_a_request_to_a_busy_server_is_retried_automatically(open_chat: Any) -> None:
    chat = open_chat(reply="At last.", busy=True)
    chat.expected = "status of 429"
    page = chat.visit()

    say(page, "Hi")
    page.get_by_text("The server is busy with other requests. Asking again in 1 s.").wait_for()
    chat.engine.busy = False

    assert answered(page) == "At last."
    assert page.locator("#notice").is_hidden()


def test_waiting_for_a_busy_server_can_be_stopped(open_chat: Any) -> None:
    chat = open_chat(busy=True)
    chat.expected = "status of 429"
    page = chat.visit()
    say(page, "Hi")
    page.get_by_text("Asking again").wait_for()

    page.locator("#notice").get_by_role("button", name="Stop").click()

    page.get_by_role("button", name="Answer this message").wait_for()
    page.wait_for_timeout(1200)
    assert page.locator(".message").count() == 1


def test_a_conversation_that_is_too_long_shows_how_to_continue(open_chat: Any) -> None:
    chat = open_chat(n_ctx=64)
    chat.expected = "status of 400"
    page = chat.visit()

    say(page, "word " * 40)

    page.get_by_text("Begin a new chat, or change an earlier message to a shorter one.").wait_for()
    page.locator("#notice").get_by_role("button", name="New chat").click()
    assert page.locator("#welcome").is_visible()


def test_an_answer_that_fails_midway_keeps_its_text(open_chat: Any) -> None:
    chat = open_chat(reply="One two three four five", fail_at=8)
    page = chat.visit()

    say(page, "Hi")

    page.get_by_text("the scripted failure").wait_for()
    assert answered(page) == "One two"
    page.get_by_text("This answer is not complete.").wait_for()


def test_another_kind_of_server_is_recognised(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit("/docs")
    page.route("**/v1/models", lambda route: route.fulfill(status=200, content_type="text/html", body="<p>Welcome"))
    page.goto(chat.url)

    page.get_by_text("The server at this address is not an oxillama server.").wait_for()


def test_a_stream_of_another_format_is_not_accepted_as_an_answer(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit()
    page.locator("#model:enabled").wait_for()
    stream = {"content_type": "text/event-stream", "body": "data: {broken\n\ndata: [DONE]\n\n"}
    page.route("**/v1/chat/completions", lambda route: route.fulfill(status=200, **stream))

    say(page, "Hi")

    page.get_by_text("The connection was lost before the answer was complete.").wait_for()
    page.get_by_role("button", name="Answer this message").wait_for()


def test_a_stream_that_is_cut_off_is_not_mistaken_for_an_end(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit()
    page.locator("#model:enabled").wait_for()
    piece = json.dumps({"choices": [{"index": 0, "delta": {"content": "Half an"}, "finish_reason": None}]})
    page.route(
        "**/v1/chat/completions",
        lambda route: route.fulfill(status=200, content_type="text/event-stream", body=f"data: {piece}\n\n"),
    )

    say(page, "Hi")

    page.get_by_text("The connection was lost before the answer was complete.").wait_for()
    assert answered(page) == "Half an"


def test_the_key_is_requested_checked_and_kept_only_for_the_tab(open_chat: Any) -> None:
    chat = open_chat(settings={"api_keys": (KEY,)})
    chat.expected = "status of 401"
    page = chat.visit()
    page.get_by_role("heading", name="This server asks for a key").wait_for()
    page.get_by_label("API key", exact=True).fill("wrong-key")
    page.keyboard.press("Enter")
    page.get_by_text("Incorrect API key provided").wait_for()

    page.get_by_label("API key", exact=True).fill(KEY)
    page.keyboard.press("Enter")
    say(page, "Hi")

    assert answered(page) == "Hello, world!"
    page.reload()
    page.locator("#model:enabled").wait_for()
    assert page.locator("#key").is_hidden()
    assert page.evaluate("localStorage.getItem('oxillama.key')") is None
    assert not [url for url in chat.watched[0].requests if KEY in url]
    chat.visit().get_by_role("heading", name="This server asks for a key").wait_for()


def test_declining_to_give_a_key_shows_a_notice_and_the_key_can_be_given_later(open_chat: Any) -> None:
    chat = open_chat(settings={"api_keys": (KEY,)})
    chat.expected = "status of 401"
    page = chat.visit()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Without a key this server answers nothing.").wait_for()

    page.get_by_role("button", name="Give a key").click()
    page.get_by_label("API key", exact=True).fill(KEY)
    page.keyboard.press("Enter")

    page.locator("#model:enabled").wait_for()
    assert page.locator("#notice").is_hidden()


def test_the_key_is_remembered_on_request(open_chat: Any) -> None:
    chat = open_chat(settings={"api_keys": (KEY,)})
    chat.expected = "status of 401"
    page = chat.visit()
    page.get_by_label("API key", exact=True).fill(KEY)
    page.get_by_label("Remember it on this computer").check()
    page.get_by_role("button", name="Continue").click()
    page.locator("#model:enabled").wait_for()

    other = chat.tab()

    other.locator("#model:enabled").wait_for()
    assert other.locator("#key").is_hidden()


def test_without_storage_the_page_still_works(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit("/docs")
    page.add_init_script("Object.defineProperty(window, 'indexedDB', {get() { throw Error('switched off') }})")
    page.goto(chat.url)

    page.get_by_text("This browser keeps nothing for this page").wait_for()
    say(page, "Hi")

    assert answered(page) == "Hello, world!"
