"""oxillama info and bench."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import oxillama
from tests.support.models import make_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


def test_info_describes_a_model_for_machines(model: Path) -> None:
    done = oxillama("info", "--model", model, "--json")

    facts = json.loads(done.stdout)
    assert done.returncode == 0
    assert facts["architecture"] == "llama"
    assert (facts["layers"], facts["heads"], facts["kv_heads"], facts["vocabulary"]) == (2, 4, 2, 512)
    assert facts["file_bytes"] == model.stat().st_size
    assert facts["tensor_types"]["Q6_K"] == 3


def test_info_describes_a_model_for_people(model: Path) -> None:
    lines = oxillama("info", "--model", model).stdout.decode().splitlines()

    assert any(line.split()[:2] == ["architecture", "llama"] for line in lines)
    assert not any("{" in line for line in lines)


def test_the_environment_names_the_model_if_the_option_does_not(model: Path) -> None:
    assert oxillama("info", OXILLAMA_MODEL=str(model)).returncode == 0


@pytest.mark.parametrize("sequences", [1, 3])
def test_bench_prints_one_object_with_medians(model: Path, sequences: int) -> None:
    flags = ("--prompt", 20, "--new", 4, "--depth", 8, "--reps", 3, "--threads", 1, "--sequences", sequences, "--json")
    done = oxillama("bench", "--model", model, *map(str, flags))

    made = json.loads(done.stdout)
    assert made["prefill_tok_s"] == sorted(made["prefill_runs"])[1] > 0
    assert made["decode_tok_s"] == sorted(made["decode_runs"])[1] > 0
    assert made["threads"] == 1
    assert made["sequences"] == sequences


def test_bench_takes_prompts_longer_than_a_step(model: Path) -> None:
    done = oxillama("bench", "--model", model, "--prompt", 1100, "--new", 1, "--reps", 1, "--threads", 1, "--json")

    assert json.loads(done.stdout)["prompt"] == 1100


def test_a_kv_type_uses_the_memory_that_info_shows(model: Path) -> None:
    said = json.loads(oxillama("info", "--model", model, "--json").stdout)["kv_bytes_per_token"]
    for kv_type in ("f16", "i16", "q8_0"):
        flags = ("--kv-type", kv_type, "--prompt", "8", "--new", "1", "--reps", "1", "--threads", "1", "--json")
        made = json.loads(oxillama("bench", "--model", model, *flags).stdout)
        assert (made["kv_type"], made["kv_bytes_per_token"]) == (kv_type, said[kv_type])


@pytest.mark.parametrize("command", ["bench", "run", "chat", "serve", "perplexity"])
def test_an_unknown_kv_type_is_refused(command: str) -> None:
    done = oxillama(command, "--kv-type", "q4_0")

    assert done.returncode == 2
    assert b"q8_0" in done.stderr
