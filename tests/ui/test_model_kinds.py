"""The page's text about its model, and the settings it shows for other programs."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from oxillama.embedded import MODEL_NAME
from oxillama.engine.api.sampling import SamplerSettings
from tests.ui.conftest import answered, say

if TYPE_CHECKING:
    from playwright.sync_api import Page

PHONES = [(390, 844), (360, 560)]


def welcome(page: Page) -> tuple[str, list[str]]:
    """The note under the title, and the suggestions."""
    page.locator("#examples button").first.wait_for()
    return page.locator("#welcome-note").inner_text(), page.locator("#examples button span").all_inner_texts()


def test_the_demonstration_model_is_labelled_and_has_example_questions_about_oxillama(open_chat: Any) -> None:
    chat = open_chat(model_name=MODEL_NAME)

    note, examples = welcome(chat.visit())

    assert "demonstration model" in note
    assert "--model FILE.gguf" in note
    assert "How do I set an API key?" in examples


def test_example_questions_for_another_model_are_general(open_chat: Any) -> None:
    chat = open_chat()
    chat.engine.chat_template.source = "{{ messages }}"

    note, examples = welcome(chat.visit())

    assert "demonstration" not in note
    assert "template" not in note
    assert len(examples) == 4
    assert not any("API key" in text or "GGUF" in text for text in examples)


def test_a_model_without_a_chat_template_is_reported(open_chat: Any) -> None:
    note, examples = welcome(open_chat().visit())

    assert "no chat template" in note
    assert examples == ["Once upon a time, there was a lighthouse"]


def test_default_settings_are_shown_and_not_sent(open_chat: Any) -> None:
    chat = open_chat(reply="yes")
    chat.engine.sampling_defaults = SamplerSettings(temperature=0.35, top_p=0.5)
    page = chat.visit()
    welcome(page)

    page.get_by_role("button", name="Settings", exact=True).click()

    temperature = page.get_by_label("Temperature", exact=True)
    assert (temperature.input_value(), temperature.get_attribute("placeholder")) == ("", "0.35")
    assert page.locator("#slide-temperature").input_value() == "0.35"
    assert page.get_by_label("Top P", exact=True).get_attribute("placeholder") == "0.5"
    page.get_by_role("button", name="Done").click()
    say(page, "hello")
    assert answered(page) == "yes"
    assert chat.engine.requests[0].sampling.temperature is None
    assert chat.engine.requests[0].sampling.top_p is None


@pytest.mark.parametrize("keys", [(), ("secret-key",)], ids=["open", "with a key"])
def test_connect_gives_an_address_an_id_and_a_command_that_works(open_chat: Any, keys: tuple[str, ...]) -> None:
    chat = open_chat(reply="yes", settings={"api_keys": keys, "alias": "it's a model"})
    chat.expected = "status of 401"
    page = chat.visit()
    if keys:
        page.get_by_label("API key").fill(keys[0])
        page.get_by_role("button", name="Continue").click()
    page.locator("#model:enabled").wait_for()

    page.get_by_role("button", name="Connect", exact=True).click()

    assert page.locator("#connect-url").inner_text() == f"{chat.url}/v1"
    assert page.locator("#connect-model").inner_text() == "it's a model"
    assert ("None is needed" in page.locator("#connect-key").inner_text()) == (not keys)
    line = page.locator("#connect-curl").text_content() or ""
    assert "secret-key" not in line
    env = {**os.environ, "OPENAI_API_KEY": "secret-key"}
    done = subprocess.run(["sh", "-c", f"{line} --silent"], capture_output=True, timeout=30, check=True, env=env)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "yes"


def test_connect_copies_what_it_shows(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit(permissions=["clipboard-read", "clipboard-write"])
    page.locator("#model:enabled").wait_for()
    page.get_by_role("button", name="Connect", exact=True).click()

    page.get_by_role("button", name="Copy the base URL").click()

    page.get_by_role("button", name="Copy the base URL").locator("use[href='#i-check']").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"{chat.url}/v1"
    page.keyboard.press("Escape")
    page.locator("#connect").wait_for(state="hidden")


@pytest.mark.parametrize("panel", ["settings", "connect"])
@pytest.mark.parametrize(("width", "height"), PHONES, ids=str)
def test_a_panel_fits_a_phone_and_its_buttons_stay_visible(
    open_chat: Any, panel: str, width: int, height: int
) -> None:
    page = open_chat().visit(viewport={"width": width, "height": height}, has_touch=True, is_mobile=True)
    page.locator("#model:enabled").wait_for()

    page.locator(f"#{panel}-open").click()

    dialog = page.locator(f"#{panel}")
    assert dialog.evaluate("(one) => one.scrollWidth <= one.clientWidth")
    for button in dialog.locator("header button, footer button, footer a").all():
        box = button.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_long_model_name_fits_the_screen_of_a_phone(open_chat: Any) -> None:
    chat = open_chat(settings={"alias": "Smollm2 135M 8k Lc100K Mix1 Ep2, instructed and quantised"})
    page = chat.visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.locator("#model:enabled").wait_for()

    for name in ("#connect-open", "#settings-open", "#send"):
        box = page.locator(name).bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 390
    page.locator("#settings-open").click()
    page.locator("#settings[open]").wait_for()


def test_a_focused_field_of_the_settings_is_visible_on_a_phone(open_chat: Any) -> None:
    page = open_chat().visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.locator("#model:enabled").wait_for()
    page.locator("#settings-open").click()

    page.locator("#set-theme").focus()

    field, footer = page.locator("#set-theme").bounding_box(), page.locator("#settings footer").bounding_box()
    assert field is not None
    assert footer is not None
    assert field["y"] + field["height"] <= footer["y"]
