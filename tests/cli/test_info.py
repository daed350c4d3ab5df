"""oxillama info and bench."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from oxillama.core._core import default_reading
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


def test_info_says_how_the_model_calls_tools() -> None:
    facts = json.loads(oxillama("info", "--json").stdout)  # the demonstration model
    assert {key: facts[key] for key in ("chat_family", "call_shape", "tools", "calls_per_reply", "reasoning")} == {
        "chat_family": "Hermes",
        "call_shape": "J",
        "tools": "by its template",
        "calls_per_reply": "several",
        "reasoning": "none",
    }


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


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not bind threads")
def test_bench_binds_threads_to_processors(model: Path) -> None:
    allowed = sorted(os.sched_getaffinity(0))
    flags = ("--model", model, "--prompt", "4", "--new", "2", "--reps", "1", "--json", "--cpu-affinity")
    made = json.loads(oxillama("bench", *flags, ",".join(map(str, reversed(allowed)))).stdout)
    assert made["threads"] == len(allowed)

    refused = oxillama("bench", *flags, "8191")
    assert refused.returncode == 1
    assert b"this process may not run on processor 8191, only on " in refused.stderr
    assert refused.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ("--depth 10000000", "--depth 10000000 and --prompt 512 need 10,000,512 tokens, and the context has 2,048"),
        ("--depth 0,2000 --prompt 1", "--depth 2000 and --new 48 need 2,048 tokens, and the context has 2,040"),
        ("--prompt 2049", "--prompt 2049 needs 2,049 tokens, and the context has 2,048"),
        ("--new 9 --prompt 1 --depth 1", "--depth 1 and --new 9 need 10 tokens, and the context has 9"),
    ],
)
def test_bench_says_at_once_what_the_context_does_not_hold(model: Path, flags: str, line: str) -> None:
    n_ctx = line.rpartition(" ")[2].replace(",", "")
    done = oxillama("bench", "--model", model, *flags.split(), "--ctx-size", n_ctx)

    assert done.stderr.decode() == f"oxillama: {line}: measure fewer, or extend it with --ctx-size\n"
    assert done.returncode == 2


def test_bench_holds_to_the_context_of_the_model_unless_it_is_extended(model: Path) -> None:
    n_ctx = json.loads(oxillama("info", "--model", model, "--json").stdout)["context_length"]
    flags = ("--model", model, "--prompt", n_ctx + 1, "--new", 1, "--reps", 1, "--threads", 1)

    assert oxillama("bench", *flags).returncode == 2
    assert oxillama("bench", *flags, "--ctx-size", n_ctx + 1).returncode == 0


def test_bench_decodes_as_many_sequences_as_it_says(model: Path) -> None:
    flags = ("--prompt", 1, "--new", 1, "--sequences", 1024, "--reps", 1, "--threads", 1, "--json")
    done = oxillama("bench", "--model", model, *flags)

    assert json.loads(done.stdout)["sequences"] == 1024


def test_bench_shows_how_weights_are_read(model: Path) -> None:
    flags = ("--prompt", 8, "--new", 1, "--reps", 1, "--threads", 1)
    made = json.loads(oxillama("bench", "--model", model, *flags, "--json", OXILLAMA_TUNE="1-run").stdout)
    lines = oxillama("bench", "--model", model, *flags).stdout.decode().splitlines()

    kinds = set(json.loads(oxillama("info", "--model", model, "--json").stdout)["tensor_types"])
    assert {entry["weights"] for entry in made["reading"]} <= kinds
    assert {(entry["reading"], entry["origin"]) for entry in made["reading"]} == {("1-run", "forced")}
    shown = [line.split() for line in lines if line.strip().startswith("weights")]
    assert [[words[1], words[2], words[6], words[7]] for words in shown] == [
        [entry["weights"], entry["tokens"], default_reading(entry["tokens"] == "3+"), "(default)"]
        for entry in made["reading"]
    ]


def test_bench_takes_prompts_longer_than_a_step(model: Path) -> None:
    done = oxillama(
        "bench",
        "--model",
        model,
        "--prompt",
        1100,
        "--ctx-size",
        1100,
        "--new",
        1,
        "--reps",
        1,
        "--threads",
        1,
        "--json",
    )

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
