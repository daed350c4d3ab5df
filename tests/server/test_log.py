"""A line for each request, and never what was in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.asgi_client import ASGIClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.server import Application


async def test_a_request_is_one_line_without_its_secrets(
    make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str]
) -> None:
    client = ASGIClient(make_app(log_level="info", log_format="json", api_keys=["sk-secret-key"]))
    headers = {"Authorization": "Bearer sk-secret-key"}
    body = {"model": "fake-model", "messages": [{"role": "user", "content": "private words"}]}
    response = await client.post("/v1/chat/completions?x=query", json=body, headers=headers)
    await client.get("/v1/models", headers={"Authorization": "Bearer sk-wrong-key"})
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.err.splitlines()]
    assert said.out == ""
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/v1/chat/completions", 200),
        ("GET", "/v1/models", 401),
    ]
    assert lines[0]["id"] == response.headers["x-request-id"]
    for secret in ("sk-secret-key", "sk-wrong-key", "private words", "query"):
        assert secret not in said.err


@pytest.mark.parametrize(
    ("level", "told"),
    [("info", ["/", "/v1/models"]), ("debug", ["/health", "/metrics", "/ui/main.js", "/", "/v1/models"])],
)
async def test_probes_and_the_files_of_pages_are_told_at_debug_only(
    level: str, told: list[str], make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str]
) -> None:
    client = ASGIClient(make_app(log_level=level, log_format="json"))
    for path in ("/health", "/metrics", "/ui/main.js", "/", "/v1/models"):
        await client.get(path)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["path"] for line in lines] == told


async def test_a_fault_is_logged_with_its_traceback_and_request(
    make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str]
) -> None:
    app = make_app(log_format="json")

    @app.get("/broken")
    async def broken() -> str:
        raise ZeroDivisionError("the reason")

    response = await ASGIClient(app).get("/broken")
    line = json.loads(capsys.readouterr().err)
    assert line["id"] == response.headers["x-request-id"]
    assert "ZeroDivisionError: the reason" in line["exception"]


async def test_a_path_cannot_forge_a_line(
    make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str]
) -> None:
    await ASGIClient(make_app(log_level="info")).get("/a\nb\x1b[31m")
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "\x1b" not in said
