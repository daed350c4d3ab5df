"""`oxillama chat ARGUMENTS…` with a scripted engine instead of a model, to run in its own process.

The answer to "long" is a very long text, to "escape" escape sequences that would change a terminal, and to "words" a
hundred short words. Other messages are answered with their number and the latest one: `2 messages, the last: hello`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from oxillama.engine.api.config import EngineConfig
from oxillama.engine.api.types import GenerationRequest
from oxillama.engine.engine import Engine
from tests.support.fake_engine import FakeEngine

ESCAPES = "\x1b]0;owned\x07\x1b[31mred\x9b5m\rover"


@asynccontextmanager
async def open_scripted(_path: object, config: EngineConfig, **_: Any) -> AsyncIterator[FakeEngine]:
    engine = FakeEngine(delay_s=0.001, n_ctx=config.n_ctx or 100_000)

    def reply(request: GenerationRequest) -> str:
        messages = re.findall(r"<user>(.*?)</user>", engine.prompt_text(request), re.DOTALL)
        match messages[-1]:
            case "long":
                return "abcdefghij" * 3000
            case "escape":
                return ESCAPES
            case "words":
                return "one two three four five " * 20 + "end."
        return f"{len(messages)} messages, the last: {messages[-1]}"

    engine.reply = reply
    yield engine


if __name__ == "__main__":
    Engine.open = open_scripted  # type: ignore[assignment]  # a test double
    sys.argv[0] = "oxillama"
    sys.argv.insert(1, "chat")

    from oxillama.cli import main

    main()
