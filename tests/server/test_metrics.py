"""GET /metrics in Prometheus' text format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from oxillama.server import Application
from oxillama.server.observe.metrics import CONTENT_TYPE
from tests.support.asgi_client import ASGIClient
from tests.support.fake_engine import FakeEngine

LINE = re.compile(r'(# (HELP|TYPE) [a-z_]+ .+)|([a-z_]+)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+')
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}


def values(text: str) -> dict[str, float]:
    """Every sample by its name with labels; the text must be well formed."""
    assert text.endswith("\n")
    lines = text.splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert {name.partition("{")[0] for name in samples} <= typed
    return {name: float(value) for name, value in samples.items()}


async def test_requests_and_tokens_are_counted(
    make_app: Callable[..., Application], engine: FakeEngine
) -> None:
    client = ASGIClient(make_app(api_keys=["k"]))
    headers = {"Authorization": "Bearer k"}
    for stream in (False, True):
        await client.post("/v1/chat/completions", json=CHAT | {"stream": stream}, headers=headers)
    await client.post("/v1/chat/completions", json=CHAT | {"model": "none"}, headers=headers)
    await client.get("/v1/threads/thread_1", headers=headers)
    await client.get("/made/up")
    async with client.stream("POST", "/v1/chat/completions", json=CHAT | {"stream": True}, headers=headers) as left:
        await left.receive()

    answer = await client.get("/metrics")  # without a key
    assert (answer.status_code, answer.content_type) == (200, CONTENT_TYPE)
    found = values(answer.text)
    where = 'endpoint="chat.create_chat_completion",method="POST"'
    assert found[f'oxillama_requests_total{{{where},status="200"}}'] == 3
    assert found[f'oxillama_requests_total{{{where},status="404"}}'] == 1
    assert found[f"oxillama_request_seconds_total{{{where}}}"] > 0
    assert found['oxillama_requests_total{endpoint="none",method="none",status="401"}'] == 1
    assert found['oxillama_requests_aborted_total{by="client"}'] == 1
    assert found["oxillama_requests_under_way"] == 1
    assert found["oxillama_generated_tokens_total"] == engine.tokens
    assert found["oxillama_slots"] == engine.n_slots
    waiting = "# HELP oxillama_generations_waiting Generations that wait for a slot, and requests for vectors or scores"
    assert waiting in answer.text  # those take no slot
    assert found["oxillama_kv_pages_free"] == found["oxillama_kv_pages"]


async def test_early_refusals_are_counted_under_their_route(
    make_app: Callable[..., Application], engine: FakeEngine
) -> None:
    engine.max_waiting = 0
    engine.active = engine.open = engine.n_slots
    client = ASGIClient(make_app())
    assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 429
    found = values((await client.get("/metrics")).text)
    assert found['oxillama_requests_total{endpoint="chat.create_chat_completion",method="POST",status="429"}'] == 1


async def test_paths_and_ids_make_no_series(make_app: Callable[..., Application]) -> None:
    client = ASGIClient(make_app())
    for number in range(20):
        await client.get(f"/v1/threads/thread_{number}")
        await client.get(f"/made/up/{number}")
        await client.request(f"VERB{number}", "/v1/models")
    text = (await client.get("/metrics")).text
    assert len([line for line in text.splitlines() if line.startswith("oxillama_requests_total")]) == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_that_do_not_match_their_schema_are_counted_and_sent(
    make_app: Callable[..., Application], engine: FakeEngine, capsys: pytest.CaptureFixture[str], stream: bool
) -> None:
    client = ASGIClient(make_app(log_level="warning", log_format="json"))
    parameters = {"type": "object", "properties": {"city": {"enum": ["Oslo"]}}}
    tools = [{"type": "function", "function": {"name": "weather", "parameters": parameters}}]
    for city in ("Rome", "Oslo"):
        engine.reply = f'<tool_call>\n{{"name": "weather", "arguments": {{"city": "{city}"}}}}\n</tool_call>'
        body = CHAT | {"max_tokens": 200, "tools": tools, "stream": stream}
        answer = await client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200
        assert '"finish_reason":"tool_calls"' in answer.text
    found = values((await client.get("/metrics")).text)
    assert found['oxillama_answers_mismatched_total{param="tools"}'] == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["mismatch"] == "tools"
    assert json.loads(line)["level"] == "warning"
