"""One browser for all tests in this folder. Each test has its own server, and its pages must end without errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.support.browser import Watched, chromium, served
from tests.support.fake_engine import FakeEngine

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE_MS = 30_000


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


class Chat:
    """A server and a browser with its pages."""

    def __init__(self, browser: Browser, stack: ExitStack, engine: Any, settings: dict[str, Any]) -> None:
        self.browser, self.stack, self.engine = browser, stack, engine
        self.url = stack.enter_context(served(engine, **settings))
        self.watched: list[Watched] = []
        self.expected: str | None = None  # a pattern of the console errors that the test causes
        self.context: Any = None

    def visit(self, path: str = "/", **context: Any) -> Page:
        """The page in a new browser context, without stored data."""
        self.context = self.browser.new_context(**({"locale": "en-GB"} | context))
        self.stack.callback(self.context.close)
        self.context.set_default_timeout(PATIENCE_MS)
        self.watched.append(Watched(self.context))
        return self.tab(path)

    def tab(self, path: str = "/") -> Page:
        """Another tab of the same browser."""
        page: Page = self.context.new_page()
        page.goto(self.url + path)
        return page

    def check(self) -> None:
        for watched in self.watched:
            watched.check(urlsplit(self.url).netloc, expected=self.expected)


@pytest.fixture
def open_chat(browser: Browser) -> Iterator[Any]:
    """open_chat(reply=…, settings={…}) serves a scripted engine; its pages are checked at the end."""
    with ExitStack() as stack:
        opened: list[Chat] = []

        def make(*, settings: dict[str, Any] | None = None, **engine: Any) -> Chat:
            opened.append(Chat(browser, stack, FakeEngine(**engine), settings or {}))
            return opened[-1]

        yield make
        for chat in opened:
            chat.check()


def say(page: Page, text: str) -> None:
    """Type a message and send it with the keyboard."""
    page.locator("#model:enabled").wait_for()
    page.locator("#prompt").fill(text)
    page.keyboard.press("Enter")


def answered(page: Page, count: int = 1) -> str:
    """The text of the last answer, once `count` are complete."""
    page.locator(".message.assistant footer").nth(count - 1).wait_for()
    return page.locator(".message.assistant .prose").last.inner_text()


def until(page: Page, condition: Callable[[], bool]) -> None:
    """Wait for a condition that no element shows, while the page keeps running."""
    for _ in range(PATIENCE_MS // 50):
        if condition():
            return
        page.wait_for_timeout(50)
    raise TimeoutError("the condition did not come true")
