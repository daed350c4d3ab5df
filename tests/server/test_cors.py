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
async def test_an_allowed_origin_gets_cors_headers_on_preflight_and_response_also_without_a_key(
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


async def test_another_origin_gets_no_cors_headers_but_vary(make_app: Callable[..., Application]) -> None:
    client = ASGIClient(make_app(cors_origins=[PAGE]))
    response = await client.get("/v1/models", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in response.headers
    assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        (
            "http://localhost:*",
            ["http://localhost", "http://localhost:80", "http://localhost:5173", "HTTP://LocalHost:1"],
            ["https://localhost:5173", "http://localhost.evil.example:1", "http://a.localhost:1", "http://localhost:x"],
        ),
        (
            "https://*.app.example",
            ["https://a.app.example", "https://a.b.app.example", "https://a.app.example:443"],
            ["https://app.example", "https://evilapp.example", "https://a.app.example:8443", "http://a.app.example",
             "https://*.app.example", "https://a.app.example.evil.example", "https://evil.example/.app.example"],
        ),
        ("https://*.app.example:*", ["https://a.app.example:8443", "https://a.app.example"], ["https://app.example:1"]),
        ("http://[::1]:*", ["http://[::1]:8080"], ["http://[::2]:8080"]),
        ("https://app.example:443", ["https://app.example"], ["https://app.example:444"]),
        ("chrome-extension://abcdef", ["chrome-extension://abcdef"], ["chrome-extension://abcdeg"]),
    ],
)  # fmt: skip
async def test_a_pattern_allows_the_origins_it_names_and_no_others(
    make_app: Callable[..., Application], pattern: str, matching: list[str], others: list[str]
) -> None:
    client = ASGIClient(make_app(cors_origins=[pattern]))

    async def allowed(origin: str) -> bool:
        response = await client.get("/v1/models", headers={"Origin": origin})
        assert response.headers["Vary"] == "Origin"
        return response.headers.get("access-control-allow-origin") == origin

    assert [origin for origin in matching if not await allowed(origin)] == []
    assert [origin for origin in [*others, "null"] if await allowed(origin)] == []
