"""Simon Willison's llm: a chain of tool calls, and a schema."""

from __future__ import annotations

import json

from llm.default_plugins.openai_models import Chat
from task import ASKED_FORM, MODEL, QUESTION, base_url, check_city, check_warmth, fahrenheit, weather

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "population": {"type": "integer"}},
    "required": ["name", "population"],
}

model = Chat(MODEL, api_base=base_url(), supports_tools=True, supports_schema=True)
model.key = "none"
check_warmth("chain", model.chain(QUESTION, tools=[weather, fahrenheit]).text())
check_city("schema", json.loads(model.prompt(ASKED_FORM, schema=SCHEMA).text()), dict.__getitem__)
