"""The page of a real server with a real model of random weights."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support.browser import Watched
from tests.support.models import make_model
from tests.support.server import running
from tests.ui.conftest import PATIENCE_MS, answered, say

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LONG = "Tell me about the rain, and the fox, and the river, and the old mill by the river. " * 2


def test_a_second_turn_reuses_the_tokens_of_the_first(browser: Browser, tmp_path: Path) -> None:
    model = make_model(tmp_path / "tiny.gguf")
    with (
        running("--model", model, "--data-dir", tmp_path / "data", log=tmp_path / "log") as server,
        closing(browser.new_context()) as context,
    ):
        context.set_default_timeout(PATIENCE_MS)
        watched = Watched(context)
        page = context.new_page()
        page.goto(server.url)
        page.get_by_role("button", name="Settings").click()
        page.get_by_label("Longest answer", exact=True).fill("8")
        page.get_by_role("button", name="Done").click()

        say(page, LONG)
        answered(page)
        say(page, "And then?")
        answered(page, 2)

        assert "8 tokens" in page.locator(".stats").first.inner_text()
        assert "prompt tokens reused" in page.locator(".stats").last.inner_text()
        watched.check(urlsplit(server.url).netloc)
