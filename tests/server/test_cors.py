"""Which pages of a browser may call the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.asgi_client import ASGIClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.server import Application

PAGE = "https://app.example"
ASK = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, x-stainless-lang",
}


async def test_no_page_may_call_unless_configured(client: ASGIClient) -> None:
    response = await client.get("/v1/models", headers={"Origin": PAGE})
    assert "Access-Control-Allow-Origin" not in response.headers
    preflight = await client.request("OPTIONS", "/v1/chat/completions", headers=ASK)
    assert preflight.status_code == 204
    assert "Access-Control-Allow-Origin" not in preflight.headers


@pytest.mark.parametrize(("origins", "allowed"), [([PAGE], PAGE), (["*"], "*")])
async def test_an_allowed_page_is_told_so_before_and_after_also_without_a_key(
    make_app: Callable[..., Application], origins: list[str], allowed: str
) -> None:
    client = ASGIClient(make_app(cors_origins=origins, api_keys=["key"]))
    preflight = await client.request("OPTIONS", "/v1/chat/completions", headers=ASK)
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == allowed
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert preflight.headers["Access-Control-Allow-Headers"] == ASK["Access-Control-Request-Headers"]
    refused = await client.get("/v1/models", headers={"Origin": PAGE})
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == allowed
    assert "x-request-id" in refused.headers["Access-Control-Expose-Headers"]


async def test_another_page_is_not_and_caches_are_told_why(make_app: Callable[..., Application]) -> None:
    client = ASGIClient(make_app(cors_origins=[PAGE]))
    response = await client.get("/v1/models", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in response.headers
    assert response.headers["Vary"] == "Origin"
