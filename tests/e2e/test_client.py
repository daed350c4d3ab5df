"""The official client against a server over a real socket."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest
from openai import OpenAI

from tests.e2e import scenario
from tests.support.models import make_model
from tests.support.server import Server, running
from tests.support.shared import shared

SCENARIO = Path(scenario.__file__)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the client deprecates the Assistants API


@pytest.mark.parametrize("check", scenario.CHECKS)
def test_the_installed_client(server: Server, check: str) -> None:
    with OpenAI(base_url=f"{server.url}/v1", api_key="test", max_retries=0, timeout=60) as client:
        scenario.CHECKS[check](client, client.models.list().data[0].id)


@pytest.fixture(scope="module", params=["openai==1.109.*", "openai==2.54.*", "openai==3.*"])
def client_python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with one release line of the client."""
    folder = tmp_path_factory.mktemp("client")
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin/pip", "install", "-q", request.param], check=True)
    return folder / "bin" / Path(sys.executable).name


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stories260K", "tinyllama-1.1b"])
def test_each_line_of_the_client(client_python: Path, kind: str, tmp_path: Path) -> None:
    if kind == "stories260K":
        model = shared("models/stories260K.gguf")
    else:
        model = make_model(tmp_path / "synthetic.gguf", shape=kind, mix="Q4_0")

    with running("--model", model, "--data-dir", tmp_path / "data", log=tmp_path / "log") as server:
        done = subprocess.run(
            [client_python, SCENARIO, server.url], capture_output=True, text=True, timeout=900, cwd=tmp_path
        )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok\n") == len(scenario.CHECKS)
