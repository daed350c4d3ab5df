"""Servers started as a user would start them, one per model for the whole test run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.models import make_model
from tests.support.server import Server, running
from tests.support.shared import shared


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, 512 tokens, llama architecture."""
    return make_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="session", params=["tiny", "stories260K"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server, on the tiny model and on a trained one."""
    trained = request.param == "stories260K"
    model = shared("models/stories260K.gguf") if trained else request.getfixturevalue("tiny_model")
    folder = tmp_path_factory.mktemp(f"server-{request.param}")
    with running("--model", model, "--data-dir", folder / "data", log=folder / "log") as started:
        yield started
        assert started.terminate() == 0, started.log.read_text()[-2000:]
