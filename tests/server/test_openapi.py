"""/openapi.json says what the server has: every route, the bodies that are read, the answers that are given."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from oxillama.server import ServerConfig, create_app
from oxillama.server.apis.openapi.document import operations
from oxillama.server.operation import operation_of
from oxillama.server.wire import answers
from tests.server.test_chat import chat, events
from tests.support.asgi_client import ASGIClient
from tests.support.fake_engine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.server import Application

APP = create_app(ServerConfig(), engine=FakeEngine())
VIEWS = sorted(APP.view_functions)


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


@pytest.mark.parametrize("endpoint", VIEWS)
def test_the_body_that_is_stated_is_the_one_that_is_read(endpoint: str) -> None:
    view = APP.view_functions[endpoint]
    tree = ast.parse(textwrap.dedent(inspect.getsource(view)))
    read = {
        call.args[0].id
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "read_body"
        if isinstance(call.args[0], ast.Name)
    }
    stated = operation_of(view).body
    assert read == ({stated.__name__} if stated is not None else set())


@pytest.mark.parametrize("endpoint", VIEWS)
def test_a_view_that_pages_states_a_list(endpoint: str) -> None:
    view = APP.view_functions[endpoint]
    pages = "await paged(" in inspect.getsource(view)
    assert str(operation_of(view).answer).startswith("list[") == pages


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
    schema = (await document(make_app()))["components"]["schemas"]["Run"]

    assert schema["properties"]["object"] == {"const": "thread.run"}
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
    held((await chat(client)).json(), answers.ChatCompletion)
    held((await chat(client, logprobs=True, top_logprobs=2)).json(), answers.ChatCompletion)
    chunks = events(await chat(client, stream=True, logprobs=True, stream_options={"include_usage": True}))
    for chunk in chunks[:-1]:
        held(chunk, answers.ChatCompletionChunk)


async def test_completions_are_as_described(client: ASGIClient) -> None:
    body = {"model": "fake-model", "prompt": "x", "logprobs": 1, "echo": True}
    held((await client.post("/v1/completions", json=body)).json(), answers.Completion)
    body = {"model": "fake-model", "prompt": "x", "stream": True, "stream_options": {"include_usage": True}}
    for chunk in events(await client.post("/v1/completions", json=body))[:-1]:
        held(chunk, answers.Completion)


async def test_the_small_answers_are_as_described(client: ASGIClient) -> None:
    held((await client.get("/v1/models")).json(), answers.ModelList)
    held((await client.get("/v1/models/fake-model")).json(), answers.Model)
    held((await client.get("/health")).json(), answers.Health)
    held((await client.get("/v1/none")).json(), answers.ErrorEnvelope)


def test_operations_leave_the_pages_out() -> None:
    assert not [path for path, _, _ in operations(APP) if path in ("/", "/docs") or path.startswith("/ui")]
