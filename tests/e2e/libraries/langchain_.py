"""LangChain: an agent, and `with_structured_output` in its three methods."""

from __future__ import annotations

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from task import ASKED_FORM, MODEL, QUESTION, base_url, check_city, check_warmth, fahrenheit, weather


class City(BaseModel):
    """A city."""

    name: str
    population: int


model = ChatOpenAI(model=MODEL, base_url=base_url(), api_key="none")
agent = create_agent(model, [tool(weather), tool(fahrenheit)])
asked = {"messages": [{"role": "user", "content": QUESTION}]}
check_warmth("agent", agent.invoke(asked)["messages"][-1].content)
last = [message for message, _ in agent.stream(asked, stream_mode="messages")]
check_warmth("agent, streamed", "".join(message.content for message in last if message.type == "AIMessageChunk"))
for method in ("json_schema", "function_calling", "json_mode"):
    bound = model.with_structured_output(City, method=method)
    check_city(f"with_structured_output, {method}", bound.invoke(f"{ASKED_FORM} Answer with JSON."))
