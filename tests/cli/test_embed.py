"""oxillama embed, and the other commands with a model that only reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.cli import oxillama as run
from tests.support.oracles import oracle_model
from tests.support.shared import shared


@pytest.fixture(scope="module")
def model() -> Path:
    return shared("models/minilm/paraphrase-MiniLM-L3-v2-q8_0.gguf")


def test_each_text_is_a_line_of_json_with_its_vector(model: Path) -> None:
    found = run("embed", "--model", model, "A man is playing guitar.", "")
    assert found.returncode == 0, found.stderr
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert [line["text"] for line in lines] == ["A man is playing guitar.", ""]
    assert [len(line["embedding"]) for line in lines] == [384, 384]
    np.testing.assert_allclose(np.linalg.norm([line["embedding"] for line in lines], axis=1), 1, rtol=1e-6)
    again = run("embed", "--model", model, stdin=b"A man is playing guitar.\n\n")
    assert again.stdout == found.stdout


def test_no_text_and_too_many_dimensions_are_one_line(model: Path) -> None:
    cases: list[tuple[str, ...]] = [(), ("--dimensions", "385", "a")]
    for arguments in cases:
        found = run("embed", "--model", model, *arguments, stdin=b"")
        assert found.returncode in (1, 2)
        assert found.stderr.count(b"\n") == 1, found.stderr


def test_a_vector_for_each_token_is_no_choice(model: Path) -> None:
    """A line holds one vector."""
    found = run("embed", "--model", model, "--pooling", "none", "a")
    assert found.returncode == 2
    assert found.stderr.count(b"\n") == 1, found.stderr
    assert b"'none' is not one of 'mean', 'cls', 'last', 'rank'" in found.stderr
    assert b"none" not in run("embed", "--help").stdout


def test_a_file_that_gives_a_vector_for_each_token_needs_a_pooling(tmp_path: Path) -> None:
    file = oracle_model("bert", tmp_path / "oracle.gguf")
    file.metadata["bert.pooling_type"] = (0, file.metadata["bert.pooling_type"][1])
    path = file.write(tmp_path / "bert.gguf")
    found = run("embed", "--model", path, "a", "b")
    assert found.returncode == 1
    line = "gives a vector for each token, not for a text: open it with --pooling mean, cls or last."
    assert found.stderr.decode() == f"oxillama: bert.gguf {line}\n"


@pytest.mark.parametrize("command", ["run", "chat", "bench", "perplexity"])
def test_other_commands_say_that_it_only_reads(model: Path, tmp_path: Path, command: str) -> None:
    text = tmp_path / "text.txt"
    text.write_text("some words " * 50)
    by_command: dict[str, list[str | Path]] = {"run": ["Hello"], "perplexity": ["--file", text, "--ctx", "16"]}
    options = by_command.get(command, [])
    found = run(command, "--model", model, *options, stdin=b"Hello\n")
    assert found.returncode == 1
    assert found.stderr.count(b"\n") == 1, found.stderr
    assert b"generates no text" in found.stderr or b"predicts no tokens" in found.stderr
