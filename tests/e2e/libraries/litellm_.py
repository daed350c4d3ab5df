"""LiteLLM: a loop of tool calls, and a JSON schema."""

from __future__ import annotations

import json

import litellm
from task import ASKED_FORM, MODEL, QUESTION, base_url, check_city, check_warmth, fahrenheit, weather

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": function.__name__,
            "description": function.__doc__,
            "parameters": {
                "type": "object",
                "properties": {parameter: {"type": kind}},
                "required": [parameter],
            },
        },
    }
    for function, parameter, kind in ((weather, "city", "string"), (fahrenheit, "celsius", "number"))
]
FUNCTIONS = {"weather": weather, "fahrenheit": fahrenheit}
settings = {"model": f"openai/{MODEL}", "api_base": base_url(), "api_key": "none"}

messages: list = [{"role": "user", "content": QUESTION}]
for _ in range(4):
    message = litellm.completion(messages=messages, tools=TOOLS, **settings).choices[0].message
    messages.append(message.model_dump())
    if not message.tool_calls:
        break
    for call in message.tool_calls:
        result = FUNCTIONS[call.function.name](**json.loads(call.function.arguments))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
check_warmth("loop", messages[-1]["content"])

schema = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "population": {"type": "integer"}},
    "required": ["name", "population"],
    "additionalProperties": False,
}
answer = litellm.completion(
    messages=[{"role": "user", "content": ASKED_FORM}],
    response_format={"type": "json_schema", "json_schema": {"name": "City", "schema": schema, "strict": True}},
    **settings,
)
check_city("json_schema", json.loads(answer.choices[0].message.content), dict.__getitem__)
