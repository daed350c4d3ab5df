"""What holds for every request: headers, bodies, unknown routes and methods."""

from __future__ import annotations

import pytest

from tests.conformance.client import Api


@pytest.mark.parametrize("header", ["assistants=v2", None])
def test_version_2_is_served_with_and_without_the_header(api: Api, header: str | None) -> None:
    headers = {"Authorization": f"Bearer {api.api_key}"} | ({"OpenAI-Beta": header} if header else {})
    assert api.http.get(f"{api.base_url}/assistants", headers=headers).status_code == 200


def test_version_1_is_refused(api: Api) -> None:
    headers = {"OpenAI-Beta": "assistants=v1"}
    api.refused("version 1", lambda: api.ask("GET", "/assistants", headers=headers))


@pytest.mark.parametrize("body", [b"{", b"nonsense", b'{"metadata": {}} x', b"\xff\xfe{}"])
def test_a_body_that_is_not_json_is_refused(api: Api, body: bytes) -> None:
    api.refused("not JSON", lambda: api.ask("POST", "/threads", body))


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_route_is_named(api: Api, method: str) -> None:
    path = "/no_such_thing/at_all"
    shown = api.base_url.partition("://")[2].partition("/")[2]
    api.refused("unknown route", lambda: api.ask(method, path), method=method, path=f"/{shown}{path}")


@pytest.mark.parametrize(("method", "path"), [("PUT", "/assistants"), ("PATCH", "/threads"), ("DELETE", "/assistants")])
def test_a_wrong_method_is_a_405_in_the_envelope(api: Api, method: str, path: str) -> None:
    answer = api.ask(method, path)
    assert answer.status == 405
    assert method in answer.json["error"]["message"]


def test_unknown_fields_are_ignored(api: Api) -> None:
    answer = api.ask("POST", "/threads", {"metadata": {"a": "b"}, "no_such_field": 1})
    assert (answer.status, answer.json["metadata"]) == (200, {"a": "b"})


def test_every_answer_has_an_id_of_its_own(api: Api) -> None:
    ids = {api.ask("GET", path).headers["x-request-id"] for path in ("/assistants", "/assistants", "/no_such_thing")}
    assert len(ids) == 3
