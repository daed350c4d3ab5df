"""Bearer keys: any configured key is accepted, nothing else is, and /health needs none."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import pytest

from oxillama.server.access import auth
from tests.support.answers import error_of
from tests.support.asgi_client import ASGIClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.server import Application

KEYS = ("sk-first-key-0001", "sk-second-key-0002")


@pytest.mark.parametrize("key", KEYS)
async def test_each_key_opens_the_api(make_app: Callable[..., Application], key: str) -> None:
    client = ASGIClient(make_app(api_keys=KEYS))
    assert (await client.get("/v1/models", headers={"Authorization": f"Bearer {key}"})).status_code == 200


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {KEYS[0]}x", f"Bearer {KEYS[0][:-1]}", f"Basic {KEYS[0]}",
     KEYS[0], f"Bearer {KEYS[0]} {KEYS[1]}", "Bearer \xff\xfe", "Bearer " + "k" * 8000],
)  # fmt: skip
async def test_anything_else_is_401_in_the_envelope(make_app: Callable[..., Application], header: str) -> None:
    client = ASGIClient(make_app(api_keys=KEYS))
    response = await client.get("/v1/models", headers={"Authorization": header} if header else {})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    error = error_of(response)
    assert error["code"] == "invalid_api_key"
    assert KEYS[0] not in error["message"]


async def test_health_is_open_and_unknown_routes_are_not(make_app: Callable[..., Application]) -> None:
    client = ASGIClient(make_app(api_keys=KEYS))
    assert (await client.get("/health")).status_code == 200
    assert (await client.get("/v1/none")).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/health", 405),
        ("POST", "/openapi.json", 405),
        ("PUT", "/", 405),
        ("POST", "/ui/main.js", 405),
        ("DELETE", "/v1/models", 401),
    ],
)
async def test_a_wrong_method_is_named_where_no_key_is_needed(
    make_app: Callable[..., Application], method: str, path: str, status: int
) -> None:
    client = ASGIClient(make_app(api_keys=KEYS))
    assert (await client.request(method, path)).status_code == status


def test_every_key_is_compared_even_after_a_match(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(b) or real(a, b))
    auth.Keyring(KEYS).check(f"Bearer {KEYS[0]}")
    assert len(compared) == len(KEYS)
