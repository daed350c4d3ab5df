"""An application with a scripted engine and a data directory, and requests to it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from oxillama.server import ServerConfig, create_app
from oxillama.server.backend import attached
from tests.support.asgi_client import ASGIClient, Response
from tests.support.fake_engine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Api:
    """Requests below /v1. Each checks the status and returns the decoded body."""

    def __init__(self, client: ASGIClient) -> None:
        self.client = client

    async def post(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        return self._decoded(await self.client.post(f"/v1{path}", json={} if body is None else body), status)

    async def get(self, path: str, *, status: int = 200, **query: Any) -> Any:
        return self._decoded(await self.client.get(f"/v1{path}?{urlencode(query)}"), status)

    async def delete(self, path: str, *, status: int = 200) -> Any:
        return self._decoded(await self.client.request("DELETE", f"/v1{path}"), status)

    async def refused(self, path: str, body: Any = None, *, status: int = 400) -> dict[str, Any]:
        """The error object of a post that must be refused."""
        error = (await self.post(path, body, status=status))["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return dict(error)

    async def events(self, path: str, body: Any) -> list[tuple[str, Any]]:
        """All events of a stream as (event name, data)."""
        response = await self.client.post(f"/v1{path}", json=body)
        assert response.content_type.startswith("text/event-stream"), response.text
        return parse_events(response.text)

    async def assistant(self, **fields: Any) -> str:
        return str((await self.post("/assistants", {"model": "fake-model", **fields}))["id"])

    async def thread(self, *texts: str) -> str:
        messages = [{"role": "user", "content": text} for text in texts]
        return str((await self.post("/threads", {"messages": messages}))["id"])

    @staticmethod
    def _decoded(response: Response, status: int) -> Any:
        assert response.status_code == status, response.text
        return msgspec.json.decode(response.body)


def parse_events(text: str) -> list[tuple[str, Any]]:
    """The events of a whole stream; comments are left out, as clients do."""
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            assert [line.split(":")[0] for line in lines] == ["event", "data"]
            name, data = (line.split(": ", 1)[1] for line in lines)
            found.append((name, data if data == "[DONE]" else msgspec.json.decode(data)))
    return found


@asynccontextmanager
async def api_over(data_dir: Path, engine: FakeEngine | None = None, **settings: Any) -> AsyncIterator[Api]:
    """The API with this engine and directory, closed when the block is left."""
    config = ServerConfig(**({"log_level": "error", "data_dir": str(data_dir)} | settings))
    engine = engine or FakeEngine()
    app = create_app(config, engine=engine)
    async with attached(app.state, engine):
        yield Api(ASGIClient(app))
