"""pydantic-ai: an agent over chat completions, and structured answers in its two ways."""

from __future__ import annotations

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from task import ASKED_FORM, MODEL, QUESTION, base_url, check_city, check_warmth, fahrenheit, weather


class City(BaseModel):
    """A city."""

    name: str
    population: int


model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=base_url(), api_key="none"))
agent = Agent(model, tools=[weather, fahrenheit])
check_warmth("agent", agent.run_sync(QUESTION).output)
check_city("output by a tool", Agent(model, output_type=City).run_sync(ASKED_FORM).output)
check_city("native output", Agent(model, output_type=NativeOutput(City)).run_sync(ASKED_FORM).output)
