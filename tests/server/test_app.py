"""The handling that every request gets on every route."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import openai
import pytest

from tests.support.answers import error_of
from tests.support.asgi_client import ASGIClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.server import Application


async def test_an_unknown_route_is_an_invalid_url(client: ASGIClient) -> None:
    response = await client.post("/v1/nothing/here")
    assert response.status_code == 404
    assert error_of(response)["message"] == "Invalid URL (POST /v1/nothing/here)"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/moderations", "This server does not serve that part of OpenAI's Moderations API (POST /v1/moderations)."),
        ("/v1/responses/resp_1/cancel", "OpenAI's Responses API (POST /v1/responses/resp_1/cancel)."),
        ("/v1/chat/completions/chatcmpl-1", "OpenAI's Chat Completions API"),
        ("/chat/completions", "HINT: the API is below /v1"),
        ("/v1/v1/chat/completions", "HINT: /v1 is there twice"),
        ("/v2/rerank", "Invalid URL (POST /v2/rerank). (HINT: documents are ranked at /v1/rerank.)"),
        ("/rerank", "HINT: documents are ranked at /v1/rerank"),
        ("/v1/v1/rerank", "HINT: /v1 is there twice"),
    ],
)
async def test_an_unsupported_openai_route_is_named_as_such(client: ASGIClient, path: str, words: str) -> None:
    response = await client.post(path)
    assert response.status_code == 404
    assert words in error_of(response)["message"]


async def test_every_path_of_the_official_client_is_served_or_known(client: ASGIClient) -> None:
    resources = Path(openai.__file__).parent / "resources"
    found = {
        re.sub(r"{[^}]*}", "x", path)
        for file in resources.rglob("*.py")
        for path in re.findall(r'[\s(]f?"(/[a-z_]+(?:/[^"?\s]*)?)"', file.read_text())
        if not path.startswith("/v1")
    }
    assert {"/embeddings", "/responses", "/files/x/content", "/chat/completions"} <= found
    doubted = [path for path in sorted(found) if "Invalid URL" in (await client.get(f"/v1{path}")).text]
    assert doubted == []


async def test_a_wrong_method_is_405_in_the_envelope_and_names_the_allowed_ones(client: ASGIClient) -> None:
    response = await client.request("PUT", "/v1/models")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]
    error_of(response)


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/v1/none"])
async def test_every_answer_carries_a_request_id_and_the_time_it_took(client: ASGIClient, path: str) -> None:
    response = await client.get(path)
    assert response.headers["x-request-id"].startswith("req_")
    assert len(response.headers["x-request-id"]) == 36
    assert int(response.headers["openai-processing-ms"]) >= 0


async def test_an_internal_error_reveals_no_internals(make_app: Callable[..., Application]) -> None:
    app = make_app()

    @app.get("/broken")
    async def broken() -> str:
        raise ZeroDivisionError("secret")

    response = await ASGIClient(app).get("/broken")
    assert response.status_code == 500
    error = error_of(response)
    assert error["message"].startswith("The server had an error")
    assert error["type"] == "server_error"


async def test_a_trailing_or_doubled_slash_is_never_answered_with_a_redirect(client: ASGIClient) -> None:
    assert (await client.get("/v1/models/")).status_code in (200, 404)
    assert (await client.get("//v1//models")).status_code == 404
