"""The accepted Host headers: a web page must not reach a local server under its own domain name (DNS rebinding)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest

from oxillama.server import Application
from oxillama.server.access.hosts import HostRule
from oxillama.server.wire.errors import APIError
from tests.support.asgi_client import ASGIClient
from tests.support.live_server import get, live_server

FOREIGN = ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example."]
LOCAL = [
    "localhost",
    "localhost:8000",
    "LOCALHOST.",
    "chat.localhost",
    "127.0.0.1",
    "127.0.0.1:8000",
    "[::1]",
    "[::1]:8000",
    "192.168.1.5",
    "mybox",
    "",
]


async def status(app: Application, host: str, path: str = "/v1/models") -> int:
    return (await ASGIClient(app).get(path, headers={"Host": host})).status_code


@pytest.mark.parametrize("path", ["/", "/v1/models", "/health", "/openapi.json", "/none"])
@pytest.mark.parametrize("host", FOREIGN)
async def test_on_loopback_without_keys_a_foreign_host_is_refused(
    make_app: Callable[..., Application], host: str, path: str
) -> None:
    response = await ASGIClient(make_app()).get(path, headers={"Host": host})
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "host_not_allowed"
    assert "allowed_hosts" in response.json()["error"]["message"]


@pytest.mark.parametrize("host", LOCAL)
async def test_local_names_and_addresses_are_answered(make_app: Callable[..., Application], host: str) -> None:
    assert await status(make_app(), host) == 200


@pytest.mark.parametrize(
    "settings",
    [{"host": "0.0.0.0"}, {"host": "::"}, {"host": "192.0.2.1"}, {"api_keys": ("k",)}, {"allowed_hosts": ("*",)}],
)
async def test_off_loopback_or_with_keys_every_host_is_answered(
    make_app: Callable[..., Application], settings: dict[str, object]
) -> None:
    assert await status(make_app(**settings), "llm.example", "/health") == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_hosts_that_are_named_are_answered_and_no_others(make_app: Callable[..., Application], host: str) -> None:
    app = make_app(host=host, allowed_hosts=("llm.example", "*.below.example"))
    for name in ("llm.example", "LLM.example:443", "a.below.example", "a.b.below.example", "localhost"):
        assert await status(app, name) == 200
    for name in ("below.example", "xllm.example", "a.llm.example", "notbelow.example"):
        assert await status(app, name) == 403


@pytest.mark.parametrize(
    ("reached_at", "refused"),
    [("127.0.0.1", True), ("::1", True), (None, True), ("192.0.2.1", False), ("/run/oxillama.sock", False)],
)
def test_another_server_may_listen_on_an_address_other_than_the_configured_one(
    reached_at: str | None, refused: bool
) -> None:
    rule = HostRule("127.0.0.1", (), has_keys=False)
    with pytest.raises(APIError) if refused else nullcontext():
        rule.check("llm.example", reached_at)


@pytest.mark.parametrize("host", ["127.1", "localhost", "::1", "::ffff:127.0.0.1", "127.255.0.9"])
def test_loopback_is_known_by_any_of_its_names(host: str) -> None:
    rule = HostRule(host, (), has_keys=False)
    with pytest.raises(APIError):
        rule.check("evil.example", "127.0.0.1")


async def test_the_name_listened_on_is_answered(make_app: Callable[..., Application]) -> None:
    assert await status(make_app(host="localhost"), "localhost") == 200


async def test_over_a_socket() -> None:
    async with live_server() as live:
        assert (await live.ask(get("/v1/models").replace(b"Host: test", b"Host: evil.example"))).status == 403
        assert (await live.ask(get("/v1/models").replace(b"Host: test", b"Host: localhost"))).status == 200
        assert (await live.ask(b"GET /v1/models HTTP/1.0\r\n\r\n")).status == 200
