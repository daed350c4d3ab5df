"""Commands without --model use the embedded model and say so, or print how to name one."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from oxillama.embedded import MODEL_NAME
from tests.support.cli import environment
from tests.support.tiny_models import tiny_model

# The command, as if the package with the embedded model were installed in another folder.
SCRIPT = """
import sys, oxillama.embedded
oxillama.embedded.__file__ = sys.argv.pop(1) + "/__init__.py"
from oxillama.cli import main
main()
"""
COMMANDS = {
    "run": ["--prompt", "a", "--max-tokens", "2", "--threads", "1"],
    "chat": ["--max-tokens", "2", "--threads", "1"],
    "info": [],
    "tokenize": ["--ids"],
    "bench": ["--prompt", "2", "--new", "1", "--reps", "1", "--threads", "1"],
}


def command(package: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, str(package), *arguments]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embedded")
    tiny_model(folder / f"{MODEL_NAME}.gguf", vocab="spm")
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_the_embedded_model_is_used_with_a_notice(package: Path, name: str) -> None:
    done = subprocess.run(
        command(package, name, *COMMANDS[name]), input=b"a\n", capture_output=True, timeout=60, env=environment()
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout
    notice = done.stderr.decode().splitlines()
    assert len(notice) == 1
    assert "demonstration model" in notice[0]
    assert f"oxillama {name} --model FILE.gguf" in notice[0]


def test_a_named_model_is_used_without_a_notice(package: Path, tmp_path: Path) -> None:
    other = tiny_model(tmp_path / "other.gguf", n_layer=1, vocab="spm")

    done = subprocess.run(
        command(package, "info", "--json"), capture_output=True, env=environment(OXILLAMA_MODEL=str(other))
    )

    assert json.loads(done.stdout)["layers"] == 1
    assert done.stderr == b""


def test_an_installation_without_the_model_reports_the_fix(tmp_path: Path) -> None:
    done = subprocess.run(command(tmp_path, "chat"), input=b"a\n", capture_output=True, env=environment())

    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert b"--model FILE" in done.stderr


def test_serve_without_a_model_serves_the_embedded_one(package: Path, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            command(package, "serve", "--port", "0", "--data-dir", str(tmp_path / "data")),
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(),
            cwd=tmp_path,
        )
    try:
        assert server.stdout is not None
        line = server.stdout.readline().decode()
        url = re.search(r"http://\S+", line)
        assert url, (tmp_path / "log").read_text()
        with urlopen(f"{url.group()}/v1/models") as answer:
            assert json.load(answer)["data"]
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.communicate()
    assert line.startswith(f"oxillama serves {MODEL_NAME}.gguf at ")
    assert "demonstration model" in (tmp_path / "log").read_text().splitlines()[0]
