"""Libraries that speak the OpenAI API, each in an environment of its own: agents with two tools, answers of a form.

The model is scripted. So these tests are about requests and answers, not about what a model can do.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from tests.e2e import libraries
from tests.e2e.libraries.task import MODEL, RIVER, RIVER_QUESTION, WARMTH
from tests.support.fake_engine import FakeEngine
from tests.support.live_server import live_server

if TYPE_CHECKING:
    from oxillama.engine.api.types import GenerationRequest

SCRIPTS = Path(libraries.__file__).parent
LIBRARIES: dict[str, tuple[tuple[str, ...], int]] = {
    "langchain_": (("langchain", "langchain-openai"), 5),
    "llamaindex": (("llama-index-core", "llama-index-llms-openai-like"), 2),
    "pydantic_ai_": (("pydantic-ai-slim[openai]",), 3),
    "instructor_": (("instructor",), 2),
    "litellm_": (("litellm",), 2),
    "openai_agents": (("openai-agents",), 3),
    "smolagents_": (("smolagents[openai]",), 1),
    "haystack_": (("haystack-ai",), 1),
    "llm_": (("llm",), 2),
    "autogen_": (("autogen-ext[openai]", "autogen-agentchat"), 3),
}
"""Script → packages, and how many checks it has."""
NODE = ("ai", "@ai-sdk/openai-compatible", "zod"), 3
CITY = {"name": "Paris", "population": 2102650}
OWN = ("final_answer", "final_result", "City")
"""The tools by which libraries ask for the final answer."""


def call(tool: str, **arguments: object) -> str:
    return f'<tool_call>\n{json.dumps({"name": tool, "arguments": arguments})}\n</tool_call>'


def reply(prompt: str) -> str:
    """What a model would answer."""
    if RIVER_QUESTION in prompt:
        return f"{RIVER}." if "Bratislava" in prompt else call("file_search", query=RIVER_QUESTION)
    own = next((name for name in OWN if re.search(rf'"name": ?"{name}"', prompt)), None)
    if "Describe Paris" in prompt:
        return call(own, **CITY) if own is not None else json.dumps(CITY)
    if WARMTH in prompt:
        text = f"It is {WARMTH} degrees."
        return call(own, answer=text) if own is not None else text
    if "21.375" in prompt:
        return call("fahrenheit", celsius=21.375)
    return call("weather", city="Paris")


def scripted() -> FakeEngine:
    engine = FakeEngine(n_ctx=100_000)

    def of(request: GenerationRequest) -> str:
        return reply(engine.prompt_text(request))

    engine.reply = of
    return engine


async def checks_of(command: Callable[[str], list[str]], folder: Path) -> list[str]:
    """The checks that a script found right."""
    async with live_server(scripted(), alias=MODEL) as live:
        done = await trio.run_process(
            command(live.url), capture_stdout=True, capture_stderr=True, check=False, cwd=folder
        )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()[-6000:]
    return [line for line in done.stdout.decode().splitlines() if line.startswith("ok ")]


@pytest.mark.slow
@pytest.mark.parametrize("name", LIBRARIES)
async def test_a_library(name: str, tmp_path: Path) -> None:
    packages, n_checks = LIBRARIES[name]
    venv.create(tmp_path / "venv", with_pip=True)
    subprocess.run([tmp_path / "venv/bin/pip", "install", "-q", *packages], check=True)
    python = str(tmp_path / "venv/bin" / Path(sys.executable).name)
    assert len(await checks_of(lambda url: [python, str(SCRIPTS / f"{name}.py"), url], tmp_path)) == n_checks


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="needs node and npm")
async def test_the_vercel_ai_sdk(tmp_path: Path) -> None:
    packages, n_checks = NODE
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", *packages], cwd=tmp_path, check=True)
    shutil.copy(SCRIPTS / "vercel.mjs", tmp_path)
    assert len(await checks_of(lambda url: ["node", "vercel.mjs", url], tmp_path)) == n_checks
