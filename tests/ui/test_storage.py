"""With little or no browser storage, the page still works and shows a notice."""

from __future__ import annotations

from typing import Any

from tests.ui.conftest import answered, say

# Like a browser on a full disk: the write is undone.
FULL = """
  const put = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = function (value) {
    const request = put.call(this, value);
    if (window.isFull) this.transaction.abort();
    return request;
  };
"""


def test_full_browser_storage_is_reported_and_the_conversation_continues(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit("/docs")
    page.add_init_script(FULL)
    page.goto(chat.url)
    say(page, "A")
    answered(page)
    page.evaluate("window.isFull = true")

    say(page, "B")
    answered(page, 2)
    page.get_by_text("The browser keeps no more of this conversation").wait_for()
    page.get_by_role("button", name="New chat").first.click()
    page.get_by_role("button", name="A", exact=True).click()
    page.locator(".message.user", has_text="B").wait_for()
    say(page, "C")
    answered(page, 3)

    hello = "<assistant>Hello, world!</assistant>"
    expected = f"<user>A</user>{hello}<user>B</user>{hello}<user>C</user><assistant>"
    assert chat.engine.prompt_text(chat.engine.requests[-1]) == expected
    page.evaluate("window.isFull = false")
    say(page, "D")
    answered(page, 4)
    assert page.locator("#notice").is_hidden()
    page.reload()
    answered(page, 4)


def test_with_storage_blocked_the_page_still_works(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit("/docs")
    for name in ("indexedDB", "localStorage", "sessionStorage"):
        page.add_init_script(f"Object.defineProperty(window, '{name}', {{get() {{ throw Error('switched off') }}}})")
    page.add_init_script("window.BroadcastChannel = class { constructor() { throw Error('switched off') } }")
    page.goto(chat.url)

    page.get_by_text("This browser keeps nothing for this page").wait_for()
    say(page, "Hi")
    assert answered(page) == "Hello, world!"
    page.get_by_role("button", name="Delete “Hi”").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.locator("#welcome").wait_for()


def test_cleared_storage_is_opened_again(open_chat: Any) -> None:
    chat = open_chat()
    page = chat.visit()
    say(page, "A")
    answered(page)

    # Like another tab that deletes the site's data.
    page.evaluate("new Promise((done) => { indexedDB.deleteDatabase('oxillama').onsuccess = done; })")
    page.get_by_role("button", name="New chat").first.click()
    say(page, "B")
    answered(page)

    page.reload()
    assert answered(page) == "Hello, world!"
    assert page.locator("#threads .open").all_inner_texts() == ["B"]
