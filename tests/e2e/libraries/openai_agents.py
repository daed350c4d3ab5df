"""openai-agents with its model over chat completions: tools, streamed too, and a structured answer."""

from __future__ import annotations

import asyncio

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from pydantic import BaseModel
from task import ASKED_FORM, MODEL, QUESTION, base_url, check_city, check_warmth, fahrenheit, weather


class City(BaseModel):
    """A city."""

    name: str
    population: int


set_tracing_disabled(True)
model = OpenAIChatCompletionsModel(MODEL, AsyncOpenAI(base_url=base_url(), api_key="none"))
agent = Agent(name="a", model=model, tools=[function_tool(weather), function_tool(fahrenheit)])


async def main() -> None:
    check_warmth("agent", (await Runner.run(agent, QUESTION)).final_output)
    streamed = Runner.run_streamed(agent, QUESTION)
    async for _ in streamed.stream_events():
        pass
    check_warmth("agent, streamed", streamed.final_output)
    typed = Agent(name="b", model=model, output_type=City)
    check_city("output_type", (await Runner.run(typed, ASKED_FORM)).final_output)


asyncio.run(main())
