"""The page without a mouse, for a screen reader, on a narrow screen, in the dark."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.conftest import answered, say

# Visible interactive elements without an accessible name.
NAMELESS = """() => [...document.querySelectorAll('button, a[href], input, select, textarea, [role=region], dialog')]
  .filter((node) => node.checkVisibility() && node.getAttribute('aria-hidden') !== 'true')
  .filter((node) => !(node.getAttribute('aria-label') || node.labels?.length || node.textContent.trim()
      || node.getAttribute('aria-labelledby')))
  .map((node) => node.outerHTML)"""
# WCAG 2.1, 1.4.3: the contrast of each text with its background.
CONTRAST = """() => {
  const context = Object.assign(document.createElement('canvas'), {width: 1, height: 1})
    .getContext('2d', {willReadFrequently: true});
  const rgb = (colour) => { context.clearRect(0, 0, 1, 1); context.fillStyle = colour; context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data]; };
  const behind = (node) => { for (; node; node = node.parentElement) {
    const colour = rgb(getComputedStyle(node).backgroundColor); if (colour[3] === 255) return colour; }
    return rgb(getComputedStyle(document.documentElement).backgroundColor); };
  const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92
    : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * x + 0.7152 * y + 0.0722 * z; };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !node.checkVisibility({opacityProperty: true})) continue;
    if (node.closest('.sr, .skip, :disabled, option, noscript')) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${node.className} ${walker.currentNode.textContent.slice(0, 40)}`);
  }
  return found;
}"""
TEXT = "# Title\n\nSome `code`, [a link](https://example.com).\n\n> quoted\n\n```python\nx = 'a'  # 1\nreturn 2\n```\n"


def test_everything_can_be_done_with_the_keyboard(open_chat: Any) -> None:
    chat = open_chat(reply="Fine, thank you.")
    page = chat.visit()
    page.locator("#model:enabled").wait_for()
    assert page.evaluate("document.activeElement.id") == "prompt"

    page.keyboard.type("How are")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("you?")
    page.keyboard.press("Enter")
    assert answered(page) == "Fine, thank you."
    assert page.locator(".user .body").inner_text() == "How are\nyou?"
    assert page.evaluate("document.activeElement.id") == "prompt"

    def tab_to(name: str) -> None:
        for _ in range(40):
            page.keyboard.press("Shift+Tab")
            label = page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.textContent")
            if label.strip() == name:
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
                return
        raise AssertionError(f"{name} cannot be reached")

    tab_to("Answer again")
    page.keyboard.press("Enter")
    page.get_by_text("2 / 2").wait_for()
    tab_to("Settings")
    page.keyboard.press("Space")
    page.locator("#settings[open]").wait_for()
    page.keyboard.press("Escape")
    page.locator("#settings").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.id") == "settings-open"
    tab_to("Delete “How are”")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#welcome").wait_for()


def test_escape_stops_and_focus_stays_in_the_message_box(open_chat: Any) -> None:
    page = open_chat(reply="word " * 200, delay_s=0.02).visit()
    say(page, "Go")
    page.locator(".prose", has_text="word").wait_for()

    page.keyboard.press("Escape")

    page.get_by_text("Stopped.").wait_for()
    assert page.evaluate("document.activeElement.id") == "prompt"


def test_enter_that_ends_an_input_method_sends_nothing(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit()
    page.locator("#model:enabled").wait_for()
    page.locator("#prompt").fill("にほ")

    page.evaluate("""document.getElementById('prompt').dispatchEvent(
      new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true, cancelable: true}))""")
    page.wait_for_timeout(200)

    assert chat.engine.requests == []
    assert page.locator("#prompt").input_value() == "にほ"


@pytest.mark.parametrize("event", ["{key: 'Enter', keyCode: 229}", "{key: 'Escape', isComposing: true}"])
def test_keys_of_an_input_method_neither_send_nor_stop(open_chat: Any, event: str) -> None:
    """Safari marks the Enter that ends a composition only by its key code."""
    chat = open_chat(reply="word " * 100, delay_s=0.02)
    page = chat.visit()
    say(page, "Go")
    page.locator(".prose", has_text="word").wait_for()
    page.locator("#prompt").fill("にほ")

    page.locator("#prompt").evaluate(f"""(box) => {{
      const event = new KeyboardEvent('keydown', {{...{event}, bubbles: true, cancelable: true}});
      box.dispatchEvent(event);
      if (event.key === 'Enter' && event.defaultPrevented) box.value = 'taken';
    }}""")
    page.wait_for_timeout(200)

    assert page.locator("#prompt").input_value() == "にほ"
    assert page.locator("#stop").is_visible()


def test_deleting_a_conversation_leaves_the_focus_in_the_list(open_chat: Any) -> None:
    page = open_chat().visit()
    for text in ("A", "B"):
        say(page, text)
        answered(page)
        page.get_by_role("button", name="New chat").first.click()
    page.get_by_role("button", name="Delete “A”").focus()

    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    page.locator(".threads .open").nth(1).wait_for(state="detached")
    page.locator("#new-chat:focus").wait_for()


def test_settings_are_kept_however_their_dialog_is_left(open_chat: Any) -> None:
    page = open_chat().visit()
    page.get_by_role("button", name="Settings").click()
    box = page.get_by_label("System prompt")
    box.fill("Be brief.")
    # A text selection with the mouse ends outside the dialog.
    box.hover()
    page.mouse.down()
    page.mouse.move(5, 5)
    page.mouse.up()
    assert page.locator("#settings").is_visible()

    page.keyboard.press("Escape")

    page.locator("#settings").wait_for(state="hidden")
    page.reload()
    page.get_by_role("button", name="Settings").click()
    assert page.get_by_label("System prompt").input_value() == "Be brief."
    page.get_by_label("Temperature", exact=True).fill("3")
    page.keyboard.press("Escape")
    page.get_by_text("Temperature goes from 0 to 2.").wait_for()
    page.get_by_role("button", name="Defaults").click()
    assert page.get_by_label("Temperature", exact=True).get_attribute("aria-invalid") is None


def test_a_screen_reader_announces_the_complete_answer(open_chat: Any) -> None:
    page = open_chat(reply="Fine, thank you.").visit()

    say(page, "Hi")
    answered(page)

    assert page.locator("#status[aria-live=polite]").inner_text() == "Fine, thank you."
    assert page.locator("#log").get_attribute("aria-live") == "off"  # not once for every piece
    assert page.get_by_role("article", name="You").count() == 1
    assert page.get_by_role("article", name="fake-model").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_a_name_and_enough_contrast(open_chat: Any, scheme: str) -> None:
    page = open_chat(reply=TEXT).visit(color_scheme=scheme)
    page.locator("#model:enabled").wait_for()
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(CONTRAST) == []

    say(page, "Hi")
    answered(page)

    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(CONTRAST) == []
    page.get_by_role("button", name="Settings").click()
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate(CONTRAST) == []


def test_the_system_chooses_light_or_dark_until_the_user_does(open_chat: Any) -> None:
    page = open_chat().visit(color_scheme="dark")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")

    page.get_by_role("button", name="Change to light colours").click()

    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != dark
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_on_a_narrow_screen_nothing_is_cut_off_and_the_list_is_a_drawer(open_chat: Any) -> None:
    page = open_chat(reply=TEXT + "x" * 300 + "\n\n```\n" + "y" * 300 + "\n```").visit(
        viewport={"width": 360, "height": 640}
    )
    say(page, "z" * 200)
    answered(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator("#scroll").evaluate("(node) => node.scrollWidth <= node.clientWidth")
    assert not page.get_by_role("button", name="New chat").first.is_visible()

    page.get_by_role("button", name="Conversations").click()
    assert page.locator("#side").get_by_role("button", name="New chat").is_visible()
    for _ in range(8):  # the page behind the dialog cannot be reached
        assert not page.evaluate("document.querySelector('main').contains(document.activeElement)")
        page.keyboard.press("Tab")
    page.locator("#new-chat").focus()
    page.keyboard.press("Escape")

    page.locator("#scrim").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.id") == "side-open"
