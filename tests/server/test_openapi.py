"""/openapi.json describes the server: every route, request body and response."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from oxillama.engine.api.sampling import SamplerSettings
from oxillama.server.apis.chat.answer import ChatCompletion, ChatCompletionChunk
from oxillama.server.apis.completions.answer import Completion
from oxillama.server.apis.health.answer import Health
from oxillama.server.apis.models.answer import Model, ModelList
from oxillama.server.wire.errors import ErrorEnvelope
from tests.support.answers import chat, events
from tests.support.asgi_client import ASGIClient
from tests.support.assistants_api import api_over
from tests.support.fake_engine import FakeEngine
from tests.support.json_schema import Validator
from tests.support.openapi import document_faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.server import Application

USER = {"role": "user", "content": "Hi"}


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


async def test_the_document_is_well_formed(make_app: Callable[..., Application]) -> None:
    assert document_faults(await document(make_app(api_keys=("sk-1",)))) == []
    assert document_faults(await document(make_app())) == []


async def test_no_two_structs_have_one_name(make_app: Callable[..., Application]) -> None:
    schemas = (await document(make_app()))["components"]["schemas"]
    # For two structs with one name, msgspec adds the modules to the names.
    assert [name for name in schemas if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name)] == []
    assert {name: schema["title"] for name, schema in schemas.items()} == {name: name for name in schemas}


async def test_the_events_of_a_streamed_run_are_described(make_app: Callable[..., Application], tmp_path: Path) -> None:
    described = await document(make_app())
    content = described["paths"]["/v1/threads/runs"]["post"]["responses"]["200"]["content"]
    validator = Validator(described["components"]["schemas"])
    async with api_over(tmp_path) as api:
        body = {"assistant_id": await api.assistant(), "stream": True, "thread": {"messages": [USER]}}
        found = await api.events("/threads/runs", body)
    assert len(found) > 8
    for name, data in found[:-1]:
        assert validator.is_valid(content["text/event-stream"]["schema"], {"event": name, "data": data}), name


async def test_fields_that_a_chunk_may_lack_are_not_required(make_app: Callable[..., Application]) -> None:
    schemas = (await document(make_app()))["components"]["schemas"]
    chunk = schemas["ChatCompletionChunk"]
    assert set(chunk["properties"]) - set(chunk["required"]) == {"usage", "timings"}
    assert schemas["ChatDelta"]["required"] == []


async def test_defaults_and_examples_are_those_of_the_served_model(
    make_app: Callable[..., Application], engine: FakeEngine
) -> None:
    engine.sampling_defaults = SamplerSettings(temperature=0.25, top_k=7)
    described = await document(make_app(alias="local"))
    fields = described["components"]["schemas"]["ChatRequest"]["properties"]
    assert (fields["temperature"]["default"], fields["top_k"]["default"], fields["n"]["default"]) == (0.25, 7, 1)
    assert "default" not in fields["seed"]
    body = described["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]
    assert body["example"]["model"] == "local"


@pytest.mark.parametrize(("body", "required"), [("CreateThread", False), ("CreateMessage", True)])
async def test_a_body_is_required_if_one_of_its_fields_is(
    make_app: Callable[..., Application], body: str, required: bool
) -> None:
    paths = (await document(make_app()))["paths"]
    found = [
        operation["requestBody"]["required"]
        for methods in paths.values()
        for operation in methods.values()
        if "requestBody" in operation
        and operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith(f"/{body}")
    ]
    assert found == [required]


@pytest.mark.parametrize("field", ["audio", "chat_template", "guided_json", "structured_outputs"])
async def test_unsupported_parameters_are_described_as_accepting_nothing(
    make_app: Callable[..., Application], field: str
) -> None:
    described = await document(make_app())
    validator = Validator(described["components"]["schemas"])
    schema = described["components"]["schemas"]["ChatRequest"]["properties"][field]
    assert schema["description"] == "Not supported."
    assert [value for value in (None, "x", 1, [1], {"a": 1}, {}) if validator.is_valid(schema, value)] == [None]


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
    """Check that the answer has exactly the fields of `kind`, with values of their types."""
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
