"""The program in docs/assistants.md runs as it is. A scripted model makes its calls."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import trio

from tests.e2e.test_examples import ADDRESS, blocks
from tests.support.cli import environment
from tests.support.live_server import live_server
from tests.support.tool_runs import ToolEngine, call

if TYPE_CHECKING:
    from oxillama.engine.api.types import GenerationRequest


class ShopModel(ToolEngine):
    """Asks for the order, looks into the manual, and cites the passage that it got."""

    def __init__(self) -> None:
        super().__init__(n_ctx=100_000)
        self.prompts: list[str] = []

    def _next(self, request: GenerationRequest) -> str:
        prompt = self.prompt_text(request)
        self.prompts.append(prompt)
        if "shipped on Tuesday" not in prompt:
            return call("order_status", number=7)
        if "citric acid" not in prompt:
            return call("file_search", query="cleaning the kettle K2")
        mark = re.search(r"【0:\d+†kettle\.md】", prompt)
        assert mark is not None, prompt
        return f"It was shipped on Tuesday. Boil it with citric acid{mark[0]}."


async def test_the_worked_example() -> None:
    (program,) = blocks("docs/assistants.md", "python", ADDRESS)
    engine = ShopModel()
    async with live_server(engine, model_alias=("gpt-4o",)) as live:
        done = await trio.run_process(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program.replace(ADDRESS, live.url)],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=environment(),
        )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    answer, cited = done.stdout.decode().splitlines()
    assert answer.startswith("It was shipped on Tuesday. Boil it with citric acid【0:")
    assert cited.endswith("】 is in kettle.md")
    assert len(engine.prompts) == 3
