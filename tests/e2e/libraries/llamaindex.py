"""LlamaIndex: a FunctionAgent, and a structured answer."""

from __future__ import annotations

import asyncio

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel
from task import ASKED_FORM, MODEL, QUESTION, base_url, check_city, check_warmth, fahrenheit, weather


class City(BaseModel):
    """A city."""

    name: str
    population: int


llm = OpenAILike(
    model=MODEL, api_base=base_url(), api_key="none", is_chat_model=True, is_function_calling_model=True
)


async def main() -> None:
    agent = FunctionAgent(tools=[weather, fahrenheit], llm=llm)
    check_warmth("FunctionAgent", await agent.run(QUESTION))


asyncio.run(main())
check_city("as_structured_llm", llm.as_structured_llm(City).complete(ASKED_FORM).raw)
