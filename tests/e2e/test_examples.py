"""The examples in README and docs work without changes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import ROOT, environment
from tests.support.server import Server, running

ADDRESS = "http://127.0.0.1:8000"


def blocks(page: str, language: str, containing: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block for block in found if containing in block]


CURL = blocks("README.md", "bash", "curl ")
CLIENT = [*blocks("README.md", "python", ADDRESS), *blocks("docs/serving.md", "python", ADDRESS)]
LIBRARY = blocks("README.md", "python", "oxillama.Model(")


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server under the name that the examples use."""
    folder = tmp_path_factory.mktemp("examples")
    with running(
        "--model", tiny_model, "--alias", "local", "--data-dir", folder / "data", log=folder / "log"
    ) as started:
        yield started


def test_the_pages_have_examples() -> None:
    assert CURL
    assert len(CLIENT) >= 2
    assert LIBRARY


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
@pytest.mark.parametrize("example", CURL)
def test_curl(server: Server, example: str) -> None:
    done = subprocess.run(["sh", "-c", example.replace(ADDRESS, server.url)], capture_output=True, timeout=60)

    answer = json.loads(done.stdout)
    assert answer["choices"][0]["message"]["content"], answer


@pytest.mark.parametrize("example", CLIENT)
def test_the_openai_client(server: Server, example: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", example.replace(ADDRESS, server.url)],
        capture_output=True,
        timeout=120,
        env=environment(),
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("example", LIBRARY)
def test_the_library(tiny_model: Path, example: str, tmp_path: Path) -> None:
    shutil.copy(tiny_model, tmp_path / "model.gguf")
    script = example.replace("path/to/model.gguf", "model.gguf")

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=60, cwd=tmp_path, env=environment()
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
