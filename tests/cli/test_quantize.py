"""oxillama quantize as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oxillama.gguf import GGUFFile
from tests.support.cli import oxillama
from tests.support.tiny_models import tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "in.gguf", n_embd=256, n_ff=256, head_dim=64, vocab="spm")


def test_a_model_is_quantised_and_its_size_printed(model: Path, tmp_path: Path) -> None:
    done = oxillama("quantize", model, tmp_path / "out.gguf", "q4_k_m", "--threads", "2")

    assert done.returncode == 0, done.stderr
    assert b"out.gguf: Q4_K_M, " in done.stdout
    assert b" bits per weight, in " in done.stdout
    assert GGUFFile(tmp_path / "out.gguf").tensors["output.weight"].type_name == "Q6_K"


def test_json_is_for_scripts(model: Path, tmp_path: Path) -> None:
    done = oxillama("quantize", model, tmp_path / "out.gguf", "Q8_0", "--json", "--output-tensor-type", "F16")

    report = json.loads(done.stdout)
    assert report["type"] == "Q8_0"
    assert report["bytes"] == (tmp_path / "out.gguf").stat().st_size
    assert report["tensor_types"]["F16"] == 1


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["in.gguf", "out.gguf", "Q9"], 2, "'Q9' is not a type to quantise to; there are BF16, "),
        (["none.gguf", "out.gguf", "Q8_0"], 1, "none.gguf: No such file or directory"),
        (["in.gguf", "in.gguf", "Q8_0"], 2, "in.gguf: is a file that this command reads"),
        (["in.gguf", "out.gguf", "Q8_0", "--output-tensor-type", ""], 2, "'' is not a tensor type with"),
        (["in.gguf", "no/out.gguf", "Q8_0"], 2, "there is no folder"),
        (["in.gguf", "out.gguf", "Q8_0", "--imatrix", "in.gguf"], 1, "in.gguf: is not an importance matrix"),
        (["in.gguf", "out.gguf", "Q8_0", "--token-embedding-type", "X"], 2, "'X' is not a tensor type with"),
    ],
)
def test_errors_are_reported_in_one_line(
    model: Path, tmp_path: Path, arguments: list[str], status: int, line: str
) -> None:
    paths = [tmp_path / a if "gguf" in a else a for a in arguments]

    done = oxillama("quantize", *paths)

    assert done.returncode == status
    assert done.stderr.decode().count("\n") == 1
    assert line in done.stderr.decode()
    assert [p.name for p in tmp_path.iterdir()] == ["in.gguf"]
