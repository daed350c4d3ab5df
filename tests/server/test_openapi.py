"""/openapi.json says what the server has: every route, the bodies that are read, the answers that are given."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from oxillama.server.apis.chat.answer import ChatCompletion, ChatCompletionChunk
from oxillama.server.apis.completions.answer import Completion
from oxillama.server.apis.health.answer import Health
from oxillama.server.apis.models.answer import Model, ModelList
from oxillama.server.wire.errors import ErrorEnvelope
from tests.support.answers import chat, events
from tests.support.asgi_client import ASGIClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.server import Application


async def document(app: Application) -> dict[str, Any]:
    return dict((await ASGIClient(app).get("/openapi.json")).json())


async def test_the_document_has_every_route_and_no_other(make_app: Callable[..., Application]) -> None:
    app = make_app()
    described = await document(app)

    found = {(path, method.upper()) for path, methods in described["paths"].items() for method in methods}
    routed = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith("pages.")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert found == routed
    assert ("/v1/chat/completions", "POST") in found
    assert ("/v1/threads/{thread_id}/runs/{run_id}/steps/{step_id}", "GET") in found


async def test_every_reference_leads_somewhere_and_ids_are_unique(make_app: Callable[..., Application]) -> None:
    described = await document(make_app())

    references = set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(described)))
    assert references <= set(described["components"]["schemas"])
    ids = [operation["operationId"] for methods in described["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))
    for path, methods in described["paths"].items():
        for operation in methods.values():
            named = [p["name"] for p in operation.get("parameters", []) if p["in"] == "path"]
            assert named == re.findall(r"{(\w+)}", path)


async def test_stored_objects_are_described_as_they_are_sent(make_app: Callable[..., Application]) -> None:
    schema = (await document(make_app()))["components"]["schemas"]["RunObject"]

    assert schema["properties"]["object"] == {"enum": ["thread.run"]}
    assert "attempts" not in schema["properties"]
    assert set(schema["required"]) == set(schema["properties"])


async def test_keys_are_described_where_they_are_needed(make_app: Callable[..., Application]) -> None:
    described = await document(make_app(api_keys=("sk-1",)))

    assert described["paths"]["/v1/models"]["get"]["security"] == [{"key": []}]
    assert "security" not in described["paths"]["/health"]["get"]
    assert described["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert "securitySchemes" not in (await document(make_app()))["components"]


def held(body: Any, kind: Any) -> None:
    """The answer has exactly the fields that `kind` says, with values of their types."""
    msgspec.convert(body, kind, strict=True)


async def test_chat_answers_are_as_described(client: ASGIClient) -> None:
    held((await chat(client)).json(), ChatCompletion)
    held((await chat(client, logprobs=True, top_logprobs=2)).json(), ChatCompletion)
    chunks = events(await chat(client, stream=True, logprobs=True, stream_options={"include_usage": True}))
    for chunk in chunks[:-1]:
        held(chunk, ChatCompletionChunk)


async def test_completions_are_as_described(client: ASGIClient) -> None:
    body = {"model": "fake-model", "prompt": "x", "logprobs": 1, "echo": True}
    held((await client.post("/v1/completions", json=body)).json(), Completion)
    body = {"model": "fake-model", "prompt": "x", "stream": True, "stream_options": {"include_usage": True}}
    for chunk in events(await client.post("/v1/completions", json=body))[:-1]:
        held(chunk, Completion)


async def test_the_small_answers_are_as_described(client: ASGIClient) -> None:
    held((await client.get("/v1/models")).json(), ModelList)
    held((await client.get("/v1/models/fake-model")).json(), Model)
    held((await client.get("/health")).json(), Health)
    held((await client.get("/v1/none")).json(), ErrorEnvelope)


async def test_the_pages_are_left_out(make_app: Callable[..., Application]) -> None:
    paths = (await document(make_app()))["paths"]
    assert not [path for path in paths if path in ("/", "/docs") or path.startswith("/ui")]
