"""The server's data directory, and the errors that clients see when the disk fails."""

from __future__ import annotations

import errno
import os
import pwd
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
import trio

from oxillama.errors import StoreError
from oxillama.server import ServerConfig, create_app
from oxillama.server.backend import attached
from oxillama.server.data import default_data_dir
from oxillama.storage.ids import new_id
from oxillama.storage.system import SystemDisk
from tests.support.asgi_client import ASGIClient
from tests.support.assistants_api import Api, api_over
from tests.support.disk_vfs import uri
from tests.support.fake_engine import FakeEngine
from tests.support.stores import rows

if TYPE_CHECKING:
    from pathlib import Path

NEW_MESSAGE = {"role": "user", "content": "x" * 100}


@pytest.fixture(autouse=True)
def calls_of_the_database_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite makes the calls of SystemDisk instead of its own."""
    monkeypatch.setattr(SystemDisk, "database_uri", uri)


def failing(monkeypatch: pytest.MonkeyPatch, call: str, code: int) -> None:
    """Make every such call fail from now on."""

    def fail(*arguments: Any) -> Any:
        raise OSError(code, os.strerror(code))

    for name in (call, "pwrite") if call == "write" else (call,):
        monkeypatch.setattr(SystemDisk, name, fail)


async def test_a_full_disk_is_507_changes_nothing_and_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with api_over(tmp_path) as api:
        assistant, thread = await api.assistant(), await api.thread("kept")
        with monkeypatch.context() as full:
            failing(full, "write", errno.ENOSPC)
            for path, body in {
                f"/threads/{thread}/messages": NEW_MESSAGE,
                "/threads": {"messages": [NEW_MESSAGE]},
                f"/threads/{thread}": {"metadata": {"k": "v"}},
                f"/threads/{thread}/runs": {"assistant_id": assistant, "additional_messages": [NEW_MESSAGE]},
                "/threads/runs": {"assistant_id": assistant},
                "/assistants": {"model": "fake-model"},
            }.items():
                error = await api.refused(path, body, status=507)
                assert error["message"].startswith("The server has no space left")
            assert len((await api.get(f"/threads/{thread}/messages"))["data"]) == 1
        await api.post(f"/threads/{thread}/messages", NEW_MESSAGE)
    assert list(rows(tmp_path, "threads")) == [thread]
    async with api_over(tmp_path) as api:
        assert len((await api.get(f"/threads/{thread}/messages"))["data"]) == 2
        assert (await api.get(f"/threads/{thread}"))["metadata"] == {}


async def test_after_a_failed_fsync_the_server_reads_and_stores_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with api_over(tmp_path) as api:
        thread = await api.thread("kept")
        with monkeypatch.context() as broken:
            failing(broken, "fsync", errno.EIO)
            await api.refused(f"/threads/{thread}/messages", NEW_MESSAGE, status=503)
        error = await api.refused(f"/threads/{thread}/messages", NEW_MESSAGE, status=503)
        assert error["message"] == "The server cannot store anything until it is restarted."
        assert len((await api.get(f"/threads/{thread}/messages"))["data"]) == 1
    async with api_over(tmp_path) as api:
        await api.post(f"/threads/{thread}/messages", NEW_MESSAGE)


async def test_without_a_setting_the_data_is_in_the_users_folder_and_a_second_server_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / "oxillama"
    apps = [create_app(ServerConfig(log_level="error"), engine=FakeEngine()) for _ in range(2)]
    async with attached(apps[0].state, FakeEngine()), attached(apps[1].state, FakeEngine()):
        first, second = (Api(ASGIClient(app)) for app in apps)
        kept, lost = await first.thread("x"), await second.thread("x")
        await second.get(f"/threads/{kept}", status=404)
        await second.get(f"/threads/{lost}")
        assert list(rows(tmp_path / "oxillama", "threads")) == [kept]


@pytest.mark.parametrize("home", ["", "ann"])
def test_a_home_that_is_no_absolute_path_is_none(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", home)
    with pytest.raises(OSError, match="no home directory: set HOME or XDG_DATA_HOME"):
        default_data_dir()


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home, and without a directory for temporary files: a container that is read-only."""

    def no_such_user(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for variable in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_such_user)
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")


@pytest.mark.usefixtures("nowhere")
async def test_without_a_writable_directory_chat_works_and_assistants_report_why_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = FakeEngine(reply="Hi")
    app = create_app(ServerConfig(log_level="warning"), engine=engine)
    async with attached(app.state, engine):
        api = Api(ASGIClient(app))
        answer = await api.post("/chat/completions", {"model": "fake-model", "messages": [NEW_MESSAGE]})
        assert answer["choices"][0]["message"]["content"] == "Hi"
        for error in (
            (await api.get("/assistants", status=503))["error"],
            await api.refused("/threads", {}, status=503),
            await api.refused("/threads/runs", {"assistant_id": new_id("asst")}, status=503),
        ):
            assert "no assistants, threads, runs and files, because it found no directory" in error["message"]
            assert "--data-dir" in error["message"]
        health = (await api.client.get("/health")).json()
        assert (health["status"], health["storage"]) == ("ok", "none")
    logged = capsys.readouterr()
    assert "this user has no home directory: set HOME or XDG_DATA_HOME" in logged.out + logged.err


@pytest.mark.usefixtures("nowhere")
async def test_threads_of_a_user_without_a_home_are_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    app = create_app(ServerConfig(log_level="error"), engine=FakeEngine())
    async with attached(app.state, FakeEngine()):
        await Api(ASGIClient(app)).thread("x")
        (place,) = tmp_path.glob("oxillama-*")
        assert len(rows(place, "threads")) == 1
    assert list(tmp_path.iterdir()) == []


async def test_health_reports_a_full_disk_until_there_is_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with api_over(tmp_path) as api:
        ok = {"status": "ok", "model": "fake-model", "storage": "ok"}
        assert (await api.client.get("/health")).json() == ok
        with monkeypatch.context() as full:
            failing(full, "write", errno.ENOSPC)
            await api.refused("/threads", {}, status=507)
            for _ in range(2):
                response = await api.client.get("/health")
                assert (response.status_code, response.json()) == (200, ok | {"status": "degraded", "storage": "full"})
        assert (await api.client.get("/health")).json() == ok


async def test_health_is_503_if_only_a_restart_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with api_over(tmp_path) as api:
        with monkeypatch.context() as broken:
            failing(broken, "fsync", errno.EIO)
            await api.refused("/threads", {}, status=503)
        response = await api.client.get("/health")
        assert (response.status_code, response.json()["status"]) == (503, "degraded")
        assert response.json()["error"]["message"] == "The server cannot store anything until it is restarted."
    async with api_over(tmp_path) as api:
        assert (await api.client.get("/health")).json()["status"] == "ok"


async def test_a_configured_directory_that_is_in_use_is_an_error(tmp_path: Path) -> None:
    async with api_over(tmp_path):
        with pytest.RaisesGroup(StoreError, allow_unwrapped=True, flatten_subgroups=True):
            async with api_over(tmp_path):
                pass


async def test_a_directory_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        async with api_over(tmp_path / "file" / "data"):
            pass


async def test_a_client_that_leaves_a_stream_does_not_end_its_run(tmp_path: Path) -> None:
    async with api_over(tmp_path, FakeEngine(reply="x" * 30, delay_s=0.01)) as api:
        assistant, thread = await api.assistant(), await api.thread("Hello")
        body = {"assistant_id": assistant, "stream": True}
        async with api.client.stream("POST", f"/v1/threads/{thread}/runs", json=body) as stream:
            assert b"thread.run.created" in await stream.receive()
        with trio.fail_after(10):
            while (await api.get(f"/threads/{thread}/runs"))["data"][0]["status"] != "completed":
                await trio.sleep(0.05)
        answer = (await api.get(f"/threads/{thread}/messages"))["data"][0]
        assert answer["content"][0]["text"]["value"] == "x" * 30
