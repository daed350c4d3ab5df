"""The page that describes the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.test_access import CONTRAST


def test_every_route_is_listed(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit("/docs")
    page.locator(".operation").first.wait_for()

    described = page.evaluate("fetch('openapi.json').then((answer) => answer.json())")
    listed = {tuple(text.split("\n")[:2]) for text in page.locator(".operation > summary").all_inner_texts()}

    assert listed == {(m.upper(), path) for path, methods in described["paths"].items() for m in methods}
    assert ("POST", "/v1/chat/completions") in listed


def test_a_route_shows_its_parameters_and_a_curl_command(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit("/docs")

    page.get_by_text("/v1/chat/completions").click()

    operation = page.locator("#create_chat_completion")
    operation.get_by_text("temperature", exact=True).wait_for()
    assert "number, 0 to 2" in operation.inner_text()
    assert f"curl -X POST '{chat.url}/v1/chat/completions'" in operation.locator("pre").inner_text()
    operation.locator("summary", has_text="messages").click()
    # In the list within: the summary just opened names the kinds of message too, and the list is made a moment later.
    operation.locator("ul ul summary", has_text="ToolMessage").last.click()
    operation.locator("code", has_text="tool_call_id").first.wait_for()


def test_each_route_opens_without_undefined_values(open_chat: Any) -> None:
    page = open_chat().visit("/docs")
    page.locator(".operation").first.wait_for()

    page.locator(".operation").evaluate_all("all => all.forEach((one) => (one.open = true))")

    # A route's details are made by an event that comes after it was opened.
    page.wait_for_function(
        "document.querySelectorAll('.operation .detail').length === document.querySelectorAll('.operation').length"
    )
    assert "undefined" not in page.locator("main").inner_text()


def test_the_list_can_be_filtered(open_chat: Any) -> None:
    page = open_chat().visit("/docs")
    page.locator(".operation").first.wait_for()

    page.get_by_label("Filter the routes").fill("submit_tool")

    assert page.locator(".operation:visible").count() == 1
    page.get_by_label("Filter the routes").fill("nothing like it")
    page.get_by_text("No route matches.").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_light_and_dark_and_on_a_narrow_screen(open_chat: Any, scheme: str) -> None:
    page = open_chat(settings={"api_keys": ("k",)}).visit(
        "/docs", color_scheme=scheme, viewport={"width": 360, "height": 640}
    )
    page.get_by_text("This server asks for a key").wait_for()
    page.get_by_text("/v1/chat/completions").click()
    page.locator("#create_chat_completion pre").wait_for()

    assert page.evaluate(CONTRAST) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_without_ui_there_is_no_page(open_chat: Any) -> None:
    chat = open_chat(settings={"ui": False})
    chat.expected = "status of 404"

    for path in ("/", "/docs"):
        assert "Invalid URL" in chat.visit(path).content()


def test_defaults_and_the_example_of_a_body_are_shown(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit("/docs")

    def describe(route: Any) -> None:
        described = route.fetch().json()
        body = described["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]
        body["example"] = {"model": "it's mine"}
        name = body["schema"]["$ref"].rpartition("/")[2]
        described["components"]["schemas"][name]["properties"]["temperature"]["default"] = 0.35
        route.fulfill(json=described)

    page.route("**/openapi.json", describe)
    page.reload()
    page.get_by_text("/v1/chat/completions").click()

    operation = page.locator("#create_chat_completion")
    operation.get_by_text("temperature", exact=True).wait_for()
    assert "number, 0 to 2, default 0.35" in operation.inner_text()
    assert """-d '{"model":"it'\\''s mine"}'""" in operation.locator("pre").inner_text()
