"""Browser tests: headless Chromium, controlled by Playwright, on pages of a real server."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import trio

from oxillama.server import Ready, ServerConfig, create_app
from oxillama.server.process import run_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page

READY_S = 20.0
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser. Skips the calling test, with the reason, if Chromium or Playwright is missing."""
    driver = pytest.importorskip("playwright.sync_api", reason='needs playwright: pip install ".[browser]"')
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("needs chromium: apt-get install chromium")
    # Chromium's sandbox does not work as root, and /dev/shm is too small in some containers.
    arguments = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.getuid() == 0 else [])]
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@contextmanager
def served(engine: Any, **settings: Any) -> Iterator[str]:
    """The URL of a server with `engine`, which runs in its own thread."""
    ready = threading.Event()
    found: dict[str, Any] = {}

    async def main() -> None:
        found["stop"], found["token"] = trio.Event(), trio.lowlevel.current_trio_token()
        defaults: dict[str, Any] = {"port": 0, "log_level": "error", "drain_timeout": 0.2}
        app = create_app(ServerConfig(**(defaults | settings)), engine=engine, opens_backend=False)

        def on_ready(info: Ready) -> None:
            found["url"] = info.url
            ready.set()

        await run_app(app, stop=found["stop"], on_ready=on_ready)

    thread = threading.Thread(target=trio.run, args=(main,), daemon=True)
    thread.start()
    assert ready.wait(READY_S), "the server did not start"
    try:
        yield str(found["url"])
    finally:
        with contextlib.suppress(trio.RunFinishedError):
            trio.from_thread.run_sync(found["stop"].set, trio_token=found["token"])
        thread.join(READY_S)


@dataclass
class Watched:
    """A browser context that records its pages' requests and problems (errors, warnings, dialogs)."""

    context: BrowserContext
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.on("page", self._watch)

    def _watch(self, page: Page) -> None:
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        page.on("console", self._console)
        page.on("dialog", self._dialog)

    def _console(self, line: ConsoleMessage) -> None:
        if line.type in ("error", "warning"):
            self.problems.append(line.text)

    def _dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def check(self, host: str, *, expected: str | None = None) -> None:
        """Fail after a request to another host, or a problem that does not match the pattern `expected`."""
        foreign = [url for url in self.requests if urlsplit(url).netloc != host and not url.startswith("blob:")]
        assert not foreign, f"requests to other hosts: {foreign}"
        unexpected = [text for text in self.problems if expected is None or not re.search(expected, text)]
        assert not unexpected, f"problems: {unexpected}"
