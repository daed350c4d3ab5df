"""AutoGen: `OpenAIAssistantAgent` with functions, and with files that it searches."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from autogen_agentchat.messages import TextMessage
from autogen_core import CancellationToken
from autogen_ext.agents.openai import OpenAIAssistantAgent
from openai import AsyncOpenAI
from task import MODEL, QUESTION, RIVER_QUESTION, RIVERS, base_url, check_river, check_warmth, fahrenheit, weather

FORM = {"description": "Helps", "model": MODEL, "instructions": "Use your tools."}


async def ask(agent: OpenAIAssistantAgent, question: str) -> str:
    response = await agent.on_messages([TextMessage(content=question, source="user")], CancellationToken())
    return response.chat_message.content


async def main() -> None:
    client = AsyncOpenAI(base_url=base_url(), api_key="none")
    agent = OpenAIAssistantAgent(name="functions", client=client, tools=[weather, fahrenheit], **FORM)
    check_warmth("functions", await ask(agent, QUESTION))
    await agent.delete_assistant(CancellationToken())

    searcher = OpenAIAssistantAgent(name="searcher", client=client, tools=["file_search"], **FORM)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rivers.md"
        path.write_text(RIVERS)
        await searcher.on_upload_for_file_search(str(path), CancellationToken())
    check_river("file_search", await ask(searcher, RIVER_QUESTION))
    state = await searcher.save_state()
    again = OpenAIAssistantAgent(name="again", client=client, tools=["file_search"], **FORM)
    await again.load_state(state)
    check_river("a state that was saved", await ask(again, RIVER_QUESTION))
    await searcher.delete_uploaded_files(CancellationToken())
    await searcher.delete_vector_store(CancellationToken())
    await searcher.delete_assistant(CancellationToken())


asyncio.run(main())
