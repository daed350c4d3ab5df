"""Haystack: an Agent with tools."""

from __future__ import annotations

from haystack.components.agents import Agent
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import create_tool_from_function
from haystack.utils import Secret
from task import MODEL, QUESTION, base_url, check_warmth, fahrenheit, weather

generator = OpenAIChatGenerator(api_key=Secret.from_token("none"), model=MODEL, api_base_url=base_url())
agent = Agent(chat_generator=generator, tools=[create_tool_from_function(f) for f in (weather, fahrenheit)])
check_warmth("Agent", agent.run(messages=[ChatMessage.from_user(QUESTION)])["messages"][-1].text)
