"""Requests for chat answers, and strict readers: any deviation from the documented format fails."""

from __future__ import annotations

import json
from typing import Any

from tests.support.asgi_client import ASGIClient, Response

HELLO = [{"role": "user", "content": "Hi"}]


async def chat(client: ASGIClient, **fields: Any) -> Any:
    return await client.post("/v1/chat/completions", json={"model": "fake-model", "messages": HELLO} | fields)


def events(response: Response) -> list[Any]:
    """The decoded data of every event; `[DONE]` stays text. Anything except data lines and comments fails."""
    assert response.status_code == 200
    assert response.content_type.startswith("text/event-stream")
    found: list[Any] = []
    for block in response.text.split("\n\n"):
        if not block or block.startswith(":"):
            continue
        assert block.startswith("data: ")
        assert "\n" not in block
        found.append(block[6:] if block[6:] == "[DONE]" else json.loads(block[6:]))
    return found


def error_of(response: Response) -> dict[str, Any]:
    """The error object of a response, whose envelope is checked."""
    assert response.content_type == "application/json"
    body = response.json()
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return dict(body["error"])
