"""A folder below `apis/` is a whole API: no other code has to name it."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest

from oxillama.server import apis
from oxillama.server.operation import API, Operations
from tests.support.answers import error_of
from tests.support.asgi_client import ASGIClient
from tests.support.fake_engine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from quart import Response

    from oxillama.server import Application

ROUTES = '''
"""An API that is added as a folder."""

import msgspec

from oxillama.server.operation import API
from oxillama.server.wire.answer import Answer


class EchoRequest(msgspec.Struct, kw_only=True):
    text: str
    times: int = 1


class Echo(Answer):
    id: str
    text: str


api = API("NAME", prefix="/v1/NAME", order=15)


@api.post("/<echo_id>", body=EchoRequest, answer=Echo)
async def create_NAME(wire: EchoRequest, echo_id: str) -> Echo:
    """Say it again."""
    return Echo(id=echo_id, text=wire.text * wire.times)


@api.post("/slow", body=EchoRequest, answer=Echo, generating=True)
async def create_slow_NAME(wire: EchoRequest) -> Echo:
    return Echo(id="slow", text=wire.text)


@api.get("/probe", answer=Echo, open=True, quiet=True)
async def probe_NAME() -> Echo:
    return Echo(id="probe", text="")
'''


def add_folder(folder: Path, name: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("")
    (folder / name / "routes.py").write_text(ROUTES.replace("NAME", name))


@pytest.fixture(params=["folder", "zip"])
def name(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an API that was added to the package, as an installed one or in a zip file."""
    name = f"echo_{request.param}"  # modules stay imported, so each needs its own name
    add_folder(tmp_path / "apis", name)
    place = tmp_path / "apis"
    if request.param == "zip":
        with zipfile.ZipFile(tmp_path / "package.zip", "w") as package:
            for file in place.rglob("*.py"):
                package.write(file, f"apis/{file.relative_to(place)}")
        place = tmp_path / "package.zip" / "apis"
    monkeypatch.setattr(apis, "__path__", [*apis.__path__, str(place)])
    return name


async def test_an_added_folder_has_routes_that_read_their_bodies(
    name: str, make_app: Callable[..., Application]
) -> None:
    client = ASGIClient(make_app())
    response = await client.post(f"/v1/{name}/7", json={"text": "ab", "times": 2})
    assert (response.status_code, response.json()) == (200, {"id": "7", "text": "abab"})
    refused = await client.post(f"/v1/{name}/7", json={"times": 2})
    assert (refused.status_code, error_of(refused)["param"]) == (400, "text")


async def test_routes_of_an_added_folder_need_a_key_unless_they_are_open(
    name: str, make_app: Callable[..., Application]
) -> None:
    client = ASGIClient(make_app(api_keys=("sk-1",)))
    assert (await client.post(f"/v1/{name}/7", json={"text": "a"})).status_code == 401
    headers = {"Authorization": "Bearer sk-1"}
    assert (await client.post(f"/v1/{name}/7", json={"text": "a"}, headers=headers)).status_code == 200
    assert (await client.get(f"/v1/{name}/probe")).status_code == 200


async def test_an_added_folder_is_described(name: str, make_app: Callable[..., Application]) -> None:
    described = (await ASGIClient(make_app(api_keys=("sk-1",))).get("/openapi.json")).json()
    operation = described["paths"][f"/v1/{name}/{{echo_id}}"]["post"]
    assert operation["description"] == "Say it again."
    body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert described["components"]["schemas"][body]["required"] == ["text"]
    assert operation["security"] == [{"key": []}]
    assert "security" not in described["paths"][f"/v1/{name}/probe"]["get"]
    tags = [tag["name"] for tag in described["tags"]]
    assert tags.index("chat") < tags.index(name) < tags.index("completions")


async def test_an_added_folder_names_the_routes_logged_at_debug(
    name: str, make_app: Callable[..., Application], capsys: pytest.CaptureFixture[str]
) -> None:
    client = ASGIClient(make_app(log_level="info", log_format="json"))
    await client.get(f"/v1/{name}/probe")
    await client.post(f"/v1/{name}/7", json={"text": "a"})
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["path"] for line in lines] == [f"/v1/{name}/7"]


async def test_generating_routes_of_an_added_folder_are_refused_early(
    name: str, make_app: Callable[..., Application], engine: FakeEngine
) -> None:
    engine.max_waiting = 0
    engine.active = engine.open = engine.n_slots
    client = ASGIClient(make_app())
    assert (await client.post(f"/v1/{name}/slow", body=b"{never read")).status_code == 429
    assert (await client.post(f"/v1/{name}/7", json={"text": "a"})).status_code == 200


def test_every_folder_below_apis_is_found_once_and_by_its_own_name() -> None:
    names = [api.name for api in apis.find_apis()]
    assert len(names) == len(set(names))
    assert {"chat", "completions", "models", "assistants", "threads", "messages", "runs", "steps"} < set(names)


def test_two_apis_with_one_name_are_refused(make_app: Callable[..., Application]) -> None:
    with pytest.raises(ValueError, match="two APIs are named 'models'"):
        make_app().state.operations.register(make_app(), [API("models")])


def test_a_generating_path_has_no_arguments() -> None:
    api = API("wrong")
    with pytest.raises(ValueError, match="without arguments"):

        @api.post("/<which>", generating=True)
        async def create(which: str) -> Response:
            raise AssertionError

    assert list(Operations()) == []
