"""With long or deeply nested answers, the page stays usable."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.conftest import answered, say


@pytest.mark.parametrize("piece", ["> ", "1. "])
def test_an_answer_too_deep_for_the_parser_is_shown_as_text(open_chat: Any, piece: str) -> None:
    """Models that repeat themselves write such texts."""
    text = piece * 4000
    page = open_chat(reply=text, n_ctx=20_000).visit()

    say(page, "Go")
    page.locator(".message.assistant footer").wait_for()
    assert page.locator(".prose .plain").text_content() == text

    page.reload()
    page.locator(".message.assistant footer").wait_for()
    assert page.locator("#send").is_visible()


def test_growing_text_takes_a_part_of_the_time_only_however_long_it_is(open_chat: Any) -> None:
    page = open_chat().visit()

    done = page.evaluate("""async () => {
      const { paced } = await import('/ui/messages/pace.js');
      let done = 0;
      const ask = paced(() => { done += 1; for (const end = performance.now() + 50; performance.now() < end;); });
      for (const end = performance.now() + 1500; performance.now() < end;) {
        ask();
        await new Promise((next) => setTimeout(next, 1));
      }
      return done;
    }""")

    assert 1 <= done <= 6


def test_paced_work_continues_after_the_computer_slept(open_chat: Any) -> None:
    page = open_chat().visit()

    done = page.evaluate("""async () => {
      const { paced } = await import('/ui/messages/pace.js');
      let past = 0;
      performance.now = () => past; // sleeps for an hour as soon as the work begins
      let done = () => {};
      const ask = paced(() => { past += 3_600_000; done(true); });
      const once = () => new Promise((then) => { done = then; ask(); });
      return [await once(), await once()];
    }""")

    assert done == [True, True]


def test_a_long_answer_is_shown_to_its_end(open_chat: Any) -> None:
    lines = "".join(f"- item {i} with **bold** and `code`\n" for i in range(300))
    chat = open_chat(reply=lines, n_ctx=100_000)
    page = chat.visit()

    say(page, "Go")

    assert answered(page).endswith("item 299 with bold and code")
    assert page.locator(".prose li").count() == 300
    assert page.locator("#scroll").evaluate("(node) => node.scrollHeight - node.scrollTop - node.clientHeight < 80")


def test_a_huge_text_can_be_pasted_and_is_refused_in_one_line(open_chat: Any) -> None:
    chat = open_chat(n_ctx=64)
    chat.expected = "status of 4"
    page = chat.visit()
    page.locator("#model:enabled").wait_for()

    page.locator("#prompt").evaluate("""(box) => {
      box.focus();
      document.execCommand('insertText', false, 'word '.repeat(200_000));
    }""")
    page.keyboard.press("Enter")

    page.locator("#notice p").wait_for()
    assert page.locator("#notice p").inner_text().count("\n") == 0
    assert page.locator(".message.user").count() == 1
