"""An application with the scripted engine, and a client in the same process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from oxillama.server import Application, ServerConfig, create_app
from tests.support.asgi_client import ASGIClient
from tests.support.fake_engine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def make_app(engine: FakeEngine) -> Callable[..., Application]:
    """The application with these settings."""

    def make(**settings: Any) -> Application:
        return create_app(ServerConfig(**({"log_level": "error"} | settings)), engine=engine)

    return make


@pytest.fixture
def client(make_app: Callable[..., Application]) -> ASGIClient:
    return ASGIClient(make_app())
