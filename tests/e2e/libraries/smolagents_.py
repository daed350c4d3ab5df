"""smolagents: a ToolCallingAgent, which must call a tool in every step."""

from __future__ import annotations

from smolagents import OpenAIModel, ToolCallingAgent, tool
from task import MODEL, QUESTION, base_url, check_warmth
from task import fahrenheit as to_fahrenheit
from task import weather as weather_of


@tool
def weather(city: str) -> str:
    """The weather of a city, in degrees Celsius.

    Args:
        city: the city's name
    """
    return weather_of(city)


@tool
def fahrenheit(celsius: float) -> str:
    """Degrees Celsius as degrees Fahrenheit.

    Args:
        celsius: degrees Celsius
    """
    return to_fahrenheit(celsius)


model = OpenAIModel(model_id=MODEL, api_base=base_url(), api_key="none")
check_warmth("ToolCallingAgent", ToolCallingAgent([weather, fahrenheit], model, max_steps=5).run(QUESTION))
