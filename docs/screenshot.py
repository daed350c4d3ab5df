"""Take the picture of the chat page: python docs/screenshot.py OUT.png [--theme dark] [--model FILE] [--ask TEXT]...

Serves the model (without --model the embedded one), asks it each question in a headless Chromium, and saves what the
page shows. Needs Debian's chromium and `pip install playwright`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
QUESTIONS = ["How do I set an API key?", "Tell me a little story."]

# The first request starts the process that renders templates; the picture shows the second.
WARM_UP = """async () => {
  const model = (await (await fetch("v1/models")).json()).data[0].id;
  const body = {model, max_tokens: 1, messages: [{role: "user", content: "Hello"}]};
  await fetch("v1/chat/completions", {method: "POST", body: JSON.stringify(body),
    headers: {"Content-Type": "application/json"}});
}"""


def take(url: str, out: Path, theme: str, questions: list[str]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(color_scheme=theme, viewport={"width": 1100, "height": 720}, device_scale_factor=1.3)
        page.goto(url)
        page.evaluate(WARM_UP)
        page.locator("#model:enabled").wait_for()
        page.get_by_role("button", name="Settings").click()
        page.get_by_label("Temperature", exact=True).fill("0")  # so that the picture is the same each time
        page.get_by_label("Longest answer", exact=True).fill("120")
        page.get_by_role("button", name="Done").click()
        for count, question in enumerate(questions, 1):
            page.locator("#prompt").fill(question)
            page.keyboard.press("Enter")
            page.locator(".message.assistant footer").nth(count - 1).wait_for(timeout=120_000)
        page.screenshot(path=out)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--ask", action="append")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "oxillama", "serve", "--port", "0", "--data-dir", folder]
        command += ["--model", str(given.model)] if given.model else []
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            assert server.stdout is not None
            found = re.search(r"http://[^\s/]+", server.stdout.readline())
            if found is None:
                raise SystemExit("the server did not start")
            take(found.group(), given.out, given.theme, given.ask or QUESTIONS)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
