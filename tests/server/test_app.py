"""What happens around every request, whatever its route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.asgi_client import ASGIClient, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.server import Application


def error_of(response: Response) -> dict[str, Any]:
    """The error object of an answer, which must be the envelope and nothing else."""
    assert response.content_type == "application/json"
    body = response.json()
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return dict(body["error"])


async def test_an_unknown_route_is_an_invalid_url(client: ASGIClient) -> None:
    response = await client.post("/v1/nothing/here")
    assert response.status_code == 404
    assert error_of(response)["message"] == "Invalid URL (POST /v1/nothing/here)"


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


async def test_a_fault_of_ours_says_nothing_about_the_inside(make_app: Callable[..., Application]) -> None:
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
