"""Conversations for chat templates: turns, tools, tool results, thinking."""

from __future__ import annotations

from typing import Any

USER = {"role": "user", "content": 'What is 2 + 2? <b>&amp; "quotes"</b> naïve 😀\nSecond line'}
SYSTEM = {"role": "system", "content": "You are terse."}
ASSISTANT = {"role": "assistant", "content": "4"}
AGAIN = {"role": "user", "content": "  And 3 + 3?  "}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather <now>",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Où?", "enum": ["Paris", "Zürich"]},
                "days": {"type": "integer"},
            },
            "required": ["city"],
        },
    },
}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {
            "id": "abcdefghi",
            "type": "function",
            "function": {"name": "get_weather", "arguments": {"city": "Paris", "days": 2}},
        }
    ],
}
RESULT = {"role": "tool", "tool_call_id": "abcdefghi", "name": "get_weather", "content": '{"sky": "clear"}'}
THOUGHT = {"role": "assistant", "content": "<think>\nadd\n</think>\n\n4", "reasoning_content": "add"}

# Name -> keyword arguments of a rendering.
CONVERSATIONS: dict[str, dict[str, Any]] = {
    "one turn": {"messages": [USER]},
    "system": {"messages": [SYSTEM, USER]},
    "many turns": {"messages": [SYSTEM, USER, ASSISTANT, AGAIN]},
    "no generation prompt": {"messages": [USER, ASSISTANT], "add_generation_prompt": False},
    "tools offered": {"messages": [SYSTEM, USER], "tools": [WEATHER]},
    "tool called": {"messages": [USER, CALL, RESULT], "tools": [WEATHER]},
    "tool answered": {"messages": [SYSTEM, USER, CALL, RESULT, ASSISTANT, AGAIN], "tools": [WEATHER, WEATHER]},
    "thinking off": {"messages": [USER], "enable_thinking": False, "thinking": False, "reasoning_effort": "low"},
    "thinking on": {"messages": [USER, THOUGHT, AGAIN], "enable_thinking": True, "thinking": True},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]},
    "wrong order": {"messages": [ASSISTANT, ASSISTANT]},
    "nothing": {"messages": []},
}
