"""Race conditions: fast clicks, two conversations, two tabs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.ui.conftest import answered, say, until

if TYPE_CHECKING:
    from playwright.sync_api import Page

LONG = "one two three four five six seven eight nine ten " * 40
SEND = "document.getElementById('composer').requestSubmit();"
# A slow commit to the disk.
SLOW = """
  const put = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = function (value) {
    const end = performance.now() + 80;
    const again = () => { if (performance.now() < end) this.count().onsuccess = again; };
    again();
    return put.call(this, value);
  };
"""


def slow(chat: Any) -> Page:
    """The page with a slow disk."""
    page: Page = chat.visit("/docs")
    page.add_init_script(SLOW)
    page.goto(chat.url)
    return page


def stored(page: Page) -> list[list[str]]:
    """The roles of the messages in the stored conversations."""
    found: list[list[str]] = page.evaluate("""async () => {
      const store = await import('/ui/chat/store.js');
      const all = await Promise.all((await store.list()).map(({id}) => store.get(id)));
      return all.map((one) => one.messages.map(({role}) => role));
    }""")
    return found


def test_two_clicks_on_an_example_send_one_message(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit()
    page.locator("#model:enabled").wait_for()

    page.locator("#examples button").first.evaluate("(button) => { button.click(); button.click(); }")

    assert answered(page) == "Hello, world!"
    assert page.locator(".message").count() == 2
    assert page.locator("#notice").is_hidden()
    assert len(chat.engine.requests) == 1


def test_a_message_is_answered_where_it_was_sent(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit()
    page.locator("#model:enabled").wait_for()
    page.locator("#prompt").fill("First")

    page.evaluate(f"{SEND} document.getElementById('new-chat').click()")

    page.locator("#welcome").wait_for()
    page.get_by_role("button", name="First", exact=True).click()
    assert answered(page) == "Hello, world!"
    assert stored(page) == [["user", "assistant"]]


def test_a_message_sent_while_an_answer_stops_follows_it(open_chat: Any) -> None:
    chat = open_chat(reply=LONG, delay_s=0.02)
    page = slow(chat)
    say(page, "Count")
    page.get_by_text("one two").wait_for()
    page.locator("#prompt").fill("Go on")
    chat.engine.reply, chat.engine.delay_s = "eleven", 0.0

    page.evaluate(f"""async () => {{
      document.getElementById('stop').click();
      const {{ port1, port2 }} = new MessageChannel(); // its turns come more often than a timer's
      const turn = () => new Promise((done) => {{ port1.onmessage = done; port2.postMessage(0); }});
      while (document.getElementById('prompt').value) {{ {SEND} await turn(); }}
    }}""")

    assert answered(page, 2) == "eleven"
    assert page.get_by_text("Stopped.").count() == 1
    assert page.locator("#notice").is_hidden()
    assert stored(page) == [["user", "assistant", "user", "assistant"]]


def test_choosing_an_answer_and_sending_at_once_keeps_both(open_chat: Any) -> None:
    answers = iter(["first", "second", "third"])
    page = slow(open_chat(reply=lambda request: next(answers)))
    say(page, "A")
    answered(page)
    page.get_by_role("button", name="Answer again").click()
    page.get_by_text("2 / 2").wait_for()
    page.locator("#prompt").fill("B")

    page.evaluate(f"document.querySelector('[aria-label=\"Earlier answer\"]').click(); {SEND}")

    assert answered(page, 2) == "third"
    assert page.locator(".prose").first.inner_text() == "first"
    assert page.locator("#notice").is_hidden()


def test_the_conversation_opened_last_is_shown(open_chat: Any) -> None:
    page = open_chat().visit()
    say(page, "Old")
    answered(page)
    page.get_by_role("button", name="New chat").first.click()

    page.evaluate("document.querySelector('.threads .open').click(); document.getElementById('new-chat').click()")
    page.wait_for_timeout(200)

    assert page.locator("#welcome").is_visible()
    assert page.locator(".message").count() == 0


def test_an_answer_continues_while_another_conversation_is_open(open_chat: Any) -> None:
    chat = open_chat(reply=LONG, delay_s=0.02)
    page = chat.visit()
    say(page, "Count")
    page.get_by_text("one two").wait_for()

    page.get_by_role("button", name="New chat").first.click()
    assert page.locator("#stop").is_hidden()
    page.get_by_role("button", name="Count", exact=True).click()

    page.get_by_text("one two three").wait_for()
    page.locator("#stop").click()
    page.get_by_text("Stopped.").wait_for()


def test_deleting_a_conversation_ends_its_answer(open_chat: Any) -> None:
    chat = open_chat(reply=LONG, delay_s=0.02)
    page = chat.visit()
    say(page, "Count")
    page.get_by_text("one two").wait_for()

    page.get_by_role("button", name="Delete “Count”").click()
    page.get_by_role("button", name="Delete", exact=True).click()

    page.locator("#welcome").wait_for()
    until(page, lambda: chat.engine.active == 0 and stored(page) == [])
    assert page.locator("#notice").is_hidden()


def test_an_answer_of_a_closed_tab_is_not_waited_for(open_chat: Any) -> None:
    chat = open_chat(reply=LONG, delay_s=0.02)
    page = chat.visit()
    say(page, "Count")
    page.get_by_text("one two three").wait_for()
    page.wait_for_timeout(1000)  # until it was stored once
    other = chat.tab()
    other.get_by_role("button", name="Count", exact=True).click()
    other.get_by_text("This conversation is being answered in another tab.").wait_for()

    page.close()

    other.get_by_text("This answer is not complete.").wait_for()
    other.locator("#notice").wait_for(state="hidden")
    assert other.get_by_role("button", name="Answer again").is_visible()


def test_a_message_to_a_conversation_changed_in_another_tab_is_not_lost(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit()
    say(page, "A")
    answered(page)
    page.evaluate("""async () => {
      const store = await import('/ui/chat/store.js');
      const [{ id }] = await store.list();
      await store.save(await store.get(id)); // as another tab would, which this one has not heard of
    }""")

    page.locator("#prompt").fill("B")
    page.keyboard.press("Enter")

    page.get_by_text("was changed in another tab").wait_for()
    assert page.locator("#prompt").input_value() == "B"
    assert len(chat.engine.requests) == 1
    page.keyboard.press("Enter")
    answered(page, 2)


def test_a_draft_outlives_the_change_of_an_earlier_message(open_chat: Any) -> None:
    page = open_chat().visit()
    say(page, "A")
    answered(page)
    page.locator("#prompt").fill("A draft")
    page.locator(".message.user").get_by_role("button", name="Change this message").click()
    assert page.locator("#prompt").input_value() == "A"

    page.keyboard.press("Escape")

    assert page.locator("#prompt").input_value() == "A draft"


def test_consecutive_messages_without_an_answer_are_sent_as_one(open_chat: Any) -> None:
    """Many templates refuse two consecutive messages of one role."""
    chat = open_chat(fail_at=0)
    page = chat.visit()
    say(page, "A")
    page.get_by_text("the scripted failure").wait_for()
    chat.engine.fail_at = None

    say(page, "B")
    answered(page)

    assert chat.engine.prompt_text(chat.engine.requests[-1]) == "<user>A\n\nB</user><assistant>"
    assert page.locator(".message.user").count() == 2
