"""/v1/models and /health."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oxillama.errors import InvalidParameterError
from oxillama.server import ServerConfig, create_app
from tests.support.answers import error_of
from tests.support.asgi_client import ASGIClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from oxillama.server import Application


async def test_the_list_holds_the_served_model(client: ASGIClient) -> None:
    body = (await client.get("/v1/models")).json()
    assert body["object"] == "list"
    assert [m["id"] for m in body["data"]] == ["fake-model"]
    assert body["data"][0] | {"object": "model", "created": 1_700_000_000, "owned_by": "oxillama"} == body["data"][0]


@pytest.mark.parametrize("path", ["org/name", "org%2Fname"])
async def test_an_alias_with_a_slash_is_found_raw_and_encoded(make_app: Callable[..., Application], path: str) -> None:
    client = ASGIClient(make_app(alias="org/name"))
    # An ASGI server decodes the path before the application sees it.
    response = await client.get(f"/v1/models/{path.replace('%2F', '/')}")
    assert response.json()["id"] == "org/name"
    body = {"model": "org/name", "messages": [{"role": "user", "content": "x"}]}
    assert (await client.post("/v1/chat/completions", json=body)).json()["model"] == "org/name"


async def test_an_unknown_model_is_not_found(client: ASGIClient) -> None:
    for method in ("GET", "DELETE"):
        response = await client.request(method, "/v1/models/none/such")
        assert response.status_code == 404
        error = error_of(response)
        assert error["code"] == "model_not_found"
        assert error["message"].endswith("This server has `fake-model`.")


async def test_any_model_name_is_accepted_with_any_model(make_app: Callable[..., Application]) -> None:
    client = ASGIClient(make_app(any_model=True))
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
    assert (await client.post("/v1/chat/completions", json=body)).json()["model"] == "fake-model"
    assert (await client.get("/v1/models/gpt-4o")).json()["id"] == "fake-model"
    assert [m["id"] for m in (await client.get("/v1/models")).json()["data"]] == ["fake-model"]


async def test_further_names_mean_the_model_and_are_listed(make_app: Callable[..., Application]) -> None:
    client = ASGIClient(make_app(model_alias=("gpt-4o=fake-model", "gpt-4o-mini")))
    for name in ("gpt-4o", "gpt-4o-mini"):
        body = {"model": name, "messages": [{"role": "user", "content": "x"}]}
        assert (await client.post("/v1/chat/completions", json=body)).json()["model"] == "fake-model"
        assert (await client.get(f"/v1/models/{name}")).json()["id"] == name
    ids = [m["id"] for m in (await client.get("/v1/models")).json()["data"]]
    assert ids == ["fake-model", "gpt-4o", "gpt-4o-mini"]
    assert (await client.get("/v1/models/gpt-4")).status_code == 404


async def test_a_name_of_a_model_that_is_not_served_stops_the_start(make_app: Callable[..., Application]) -> None:
    with pytest.raises(InvalidParameterError, match="'gpt-4o=other' names the model 'other', but this server has"):
        make_app(model_alias=("gpt-4o=other",))


async def test_the_served_model_cannot_be_deleted(client: ASGIClient) -> None:
    response = await client.request("DELETE", "/v1/models/fake-model")
    assert response.status_code == 403
    error_of(response)


async def test_health_reports_ok_and_the_model(client: ASGIClient) -> None:
    response = await client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "model": "fake-model", "storage": "none"})


async def test_while_the_model_loads_everything_is_503_with_retry_after() -> None:
    client = ASGIClient(create_app(ServerConfig(log_level="error")))
    for path in ("/health", "/v1/models", "/v1/models/x"):
        response = await client.get(path)
        assert response.status_code == 503
        assert 1 <= int(response.headers["Retry-After"]) <= 60
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    assert (await client.get("/health")).json()["status"] == "loading"
