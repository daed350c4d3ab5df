"""The scripts run on a tiny model and write their tables into the right sections."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oxillama.core import _core
from tests.support.cli import ROOT, environment
from tests.support.shared import shared
from tests.support.tiny_models import tiny_model


def script(name: str, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [sys.executable, ROOT / "benchmarks" / name, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment(**env))


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


TINY = ("--shape", "tiny", "--threads", "1", "--reps", "1", "--json")


def test_decode_measures_our_side_without_a_peer(tmp_path: Path) -> None:
    sizes = ("--prompt", "16", "--new", "4", "--types", "Q4_0,Q8_0")

    made = result(script("decode.py", *TINY, *sizes, "--no-peer", "--models", tmp_path))

    assert [row["model"] for row in made["rows"]] == ["tiny Q4_0", "tiny Q8_0"]
    assert all(row["decode tok/s"] > 0 and row["llama.cpp"] is None for row in made["rows"])
    assert made["machine"]["threads"] == 1


@pytest.mark.slow
def test_threads_are_compared_with_the_machines_limits(tmp_path: Path) -> None:
    flags = ("--shape", "tiny", "--type", "Q4_0", "--threads", "1,2", "--reps", "1", "--prompt", "16", "--new", "4")

    made = result(script("threads.py", *flags, "--json", "--models", tmp_path))

    assert [row["threads"] for row in made["rows"]] == [1, 2]
    one, two = made["rows"]
    for i, what in enumerate(["prefill tok/s", "multiply Top/s", "decode tok/s", "read GB/s"]):
        times = "x" + " " * i
        assert one[what] > 0
        assert one[times] == 1
        assert two[times] == pytest.approx(two[what] / one[what])


def test_a_step_is_measured_by_op(tmp_path: Path) -> None:
    flags = ("--shape", "tiny", "--type", "Q4_0", "--threads", "1", "--steps", "2", "--json", "--models", tmp_path)

    rows = result(script("step.py", *flags))["rows"]

    ops = {row["op"]: row for row in rows}
    assert ops["attn_q, attn_k, attn_v"]["times"] == 2
    assert {"ffn_gate, ffn_up", "ffn_down", "attn_output", "output", "Attention", "outside the ops"} < set(ops)
    weights = sum(row["MB"] for row in rows[:-1] if row["MB"])
    assert rows[-1]["op"] == "all"
    assert rows[-1]["MB"] == pytest.approx(weights)
    assert rows[-1]["GB/s"] > 0


@pytest.mark.parametrize(("more", "n"), [((), 5), (("--more",), 10)])
def test_sampling_is_measured_beside_the_step(tmp_path: Path, more: tuple[str, ...], n: int) -> None:
    flags = ("--type", "Q4_0", "--vocabulary", "700", "--sequences", "1,3", *more)

    made = result(script("sampling.py", *TINY, *flags, "--models", tmp_path))

    assert [row["sequences"] for row in made["rows"]] == [1] * n + [3] * n
    for row in made["rows"]:
        choosing, step = row["choosing ms"], row["step ms"]
        assert choosing > 0
        assert step > 0
        assert row["share"] == f"{choosing / (choosing + step):.1%}"


def test_quantize_measures_our_side_without_a_peer(tmp_path: Path) -> None:
    made = result(script("quantize.py", *TINY, "--types", "Q4_0,Q8_0", "--no-peer", "--models", tmp_path))

    assert [row["type"] for row in made["rows"]] == ["Q4_0", "Q8_0"]
    assert all(row["seconds"] > 0 and int(row["peak MiB"]) > 0 and row["llama.cpp"] is None for row in made["rows"])
    assert [p.name for p in tmp_path.iterdir()] == ["tiny-F16.gguf"]


def test_quantize_prints_the_error_of_a_failed_program(tmp_path: Path) -> None:
    peer = tmp_path / "llama-quantize"
    peer.write_text("#!/bin/sh\necho no such thing >&2\nexit 3\n")
    peer.chmod(0o755)

    done = script("quantize.py", *TINY, "--types", "Q8_0", "--models", tmp_path, LLAMA_CPP_BIN=str(tmp_path))

    assert done.returncode == 1
    assert "llama-quantize" in done.stderr
    assert done.stderr.endswith("no such thing\n")


@pytest.mark.slow
def test_divergence_is_larger_for_fewer_bits(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "in.gguf", vocab="spm", n_ff=64)
    text = tmp_path / "text"
    text.write_text("once upon a time the little dog and the big cat had a red sun day " * 12)
    flags = ("--model", model, "--text", text, "--ctx", "32", "--chunks", "3", "--threads", "1", "--no-peer", "--json")

    made = result(script("divergence.py", *flags, "--types", "Q4_0,F32,Q8_0"))

    assert [row["type"] for row in made["rows"]] == ["F32", "Q8_0", "Q4_0"]
    lost = [float(row["KL"].split()[0]) for row in made["rows"]]
    assert lost[0] == 0 < lost[1] < lost[2]


@pytest.mark.slow
def test_kernels_are_compared_with_the_probes() -> None:
    sizes = ("--cold", "1", "--tokens", "4", "--reps", "1", "--threads", "1", "--types", "F16,IQ2_XXS", "--json")

    made = result(script("kernels.py", *sizes))

    rows = _core.available_isas()[1:]
    assert [(line["type"], line["isa"]) for line in made["rows"]] == [(t, r) for t in ("F16", "IQ2_XXS") for r in rows]
    assert all(line["GB/s"] > 0 and line["of read"] for line in made["rows"])
    assert {line["bits"] for line in made["rows"]} <= {16.0, 106 / 32, 70 / 32}


@pytest.mark.slow
def test_every_reading_is_measured(tmp_path: Path) -> None:
    sizes = ("--shape", "tiny", "--types", "Q8_0", "--threads", "1,2", "--sequences", "1,3", "--new", "2",
             "--reps", "2", "--json")  # fmt: skip

    made = result(script("reading.py", *sizes, "--models", tmp_path))

    rows = [(row["threads"], row["sequences"], row["weights"], row["reading"]) for row in made["rows"]]
    assert rows == [(t, s, "Q8_0", name) for t in (1, 2) for s in (1, 3) for name in _core.readings()]
    for row in made["rows"]:
        assert 0 < row["median GB/s"] <= row["best GB/s"]
        assert row["decode tok/s"] > 0
    for point in ((t, s) for t in (1, 2) for s in (1, 3)):
        here = [row for row in made["rows"] if (row["threads"], row["sequences"]) == point]
        assert sum(int(row["chosen"].split()[0]) for row in here) == 2
        assert any(row["of best"] == "100%" for row in made["rows"] if row["threads"] == point[0])


@pytest.mark.slow
def test_batched_measures_our_side_without_a_peer(tmp_path: Path) -> None:
    sizes = ("--prompt", "8", "--new", "4", "--sequences", "1,3")

    made = result(script("batched.py", *TINY, *sizes, "--no-peer", "--models", tmp_path))

    assert [row["sequences"] for row in made["rows"]] == [1, 3]


@pytest.mark.slow
def test_context_measures_our_side_without_a_peer(tmp_path: Path) -> None:
    sizes = ("--depths", "4,32", "--prompts", "8,16", "--new", "4", "--type", "Q4_0")

    made = result(script("context.py", *TINY, *sizes, "--no-peer", "--models", tmp_path))

    assert [(row["what"], row["context"]) for row in made["rows"]] == [
        ("decode", 4), ("decode", 32), ("prefill", 8), ("prefill", 16),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kv_type", "theirs"),
    [("q8_0", "-ctk q8_0 -ctv q8_0 -fa 1"), ("f32", "-ctk f32 -ctv f32 -fa 1"), ("i16", ""), ("auto", "")],
)
def test_both_programs_of_context_use_the_same_cache_type_if_possible(
    tmp_path: Path, kv_type: str, theirs: str
) -> None:
    peer = tmp_path / "llama-bench"
    rows = json.dumps([{"n_prompt": 8, "avg_ts": 1.0}, {"n_prompt": 0, "avg_ts": 1.0}])
    peer.write_text(f"#!/bin/sh\necho \"$@\" >> '{tmp_path}/asked'\necho '{rows}'\n")
    peer.chmod(0o755)
    sizes = ("--depths", "4", "--prompts", "8", "--new", "4", "--type", "Q4_0", "--kv-type", kv_type)

    made = result(script("context.py", *TINY, *sizes, "--models", tmp_path, LLAMA_CPP_BIN=str(tmp_path)))

    assert made["machine"]["kv_type"] == kv_type
    asked = [line.partition(" -o json")[2].strip() for line in (tmp_path / "asked").read_text().splitlines()]
    assert asked == [theirs, theirs]


def test_attention_is_measured_alone() -> None:
    shape = ("--layers", "2", "--heads", "4,2", "--head-dim", "8", "--depths", "512", "--kv-types", "i16,q8_0")

    made = result(script("attention.py", *shape, "--threads", "1", "--reps", "1", "--flush", "--json"))

    assert [(row["keys and values"], row["depth"]) for row in made["rows"]] == [("i16", 512), ("q8_0", 512)]
    assert all(row["decode ms"] > 0 and row["prefill ms"] > 0 for row in made["rows"])
    assert made["machine"]["layers"] == 2


def test_context_asks_our_side_for_the_type(tmp_path: Path) -> None:
    done = script("context.py", *TINY, "--type", "Q4_0", "--kv-type", "q2", "--no-peer", "--models", tmp_path)

    assert done.returncode != 0
    assert "kv-type" in done.stderr


@pytest.mark.slow
def test_the_kernels_cost_a_trained_model_no_quality() -> None:
    model = shared("models/stories260K.gguf")

    made = result(script("quality.py", "--model", model, "--types", "Q8_0,Q4_0", "--texts", "4", "--json"))

    for row in made["rows"]:
        assert abs(float(row["packed"]) / float(row["decoded to F32"]) - 1) < 0.005, row


@pytest.mark.slow
def test_instructions_are_counted_with_valgrind(tmp_path: Path) -> None:
    if shutil.which("valgrind") is None:
        pytest.skip("needs valgrind")
    sizes = ("--shape", "tiny", "--type", "Q4_0", "--tokens", "64", "--json")

    made = result(script("instructions.py", *sizes, "--no-peer", "--models", tmp_path))

    assert made["rows"][0]["oxillama, M per token"] > 0


@pytest.mark.slow
def test_startup_starts_a_server_and_measures_its_memory(tmp_path: Path) -> None:
    made = result(script("startup.py", *TINY, "--type", "Q4_0", "--models", tmp_path))

    assert [row["what"] for row in made["rows"]][1:3] == ["import oxillama", "oxillama --help"]


@pytest.mark.slow
def test_latency_finds_every_request_of_a_burst_answered(tmp_path: Path) -> None:
    made = result(script("latency.py", *TINY, "--type", "Q8_0", "--burst", "100", "--no-peer", "--models", tmp_path))

    counts = {row["what"]: row["times"] for row in made["rows"]}
    assert counts["first token"] + counts["refused"] == 100
    assert counts["broken"] == 0
    assert all(row["longest ms"] < float("inf") for row in made["rows"] if row["times"])


@pytest.mark.slow
def test_prompts_that_begin_alike_are_computed_once(tmp_path: Path) -> None:
    sizes = ("--clients", "4", "--words", "60", "--new", "3", "--ctx", "512", "--type", "Q8_0")
    flags = ("--shape", "tiny", "--threads", "1", "--json", "--no-peer", "--models", tmp_path)

    first, again = result(script("shared_prefix.py", *flags, *sizes))["rows"]

    assert first["prompt tokens"] == again["prompt tokens"]
    assert again["computed"] == 4
    assert first["prompt tokens"] / 4 < first["computed"] < first["prompt tokens"] / 2
    assert first["new tokens"] == 12


def test_a_missing_peer_is_reported_with_the_variable_to_set(tmp_path: Path) -> None:
    done = script(
        "decode.py",
        *TINY,
        "--types",
        "Q4_0",
        "--prompt",
        "4",
        "--new",
        "1",
        "--models",
        tmp_path,
        LLAMA_CPP_BIN="/nowhere",
    )

    assert done.returncode == 1
    assert "LLAMA_CPP_BIN" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_section_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- begin one -->\nold\n<!-- end one -->\nb\n<!-- begin two -->\n<!-- end two -->\n")
    code = "import sys, pathlib, report; report.replace_section(pathlib.Path(sys.argv[1]), sys.argv[2], 'new \\\\1')"
    command: list[str | Path] = [sys.executable, "-c", code, page]

    subprocess.run([*command, "one"], check=True, env=environment(), cwd=ROOT / "benchmarks")
    unknown = subprocess.run([*command, "three"], capture_output=True, env=environment(), cwd=ROOT / "benchmarks")

    assert page.read_text() == (
        "a\n<!-- begin one -->\nnew \\1\n<!-- end one -->\nb\n<!-- begin two -->\n<!-- end two -->\n"
    )
    assert b"has no section 'three'" in unknown.stderr


SECTIONS = [
    *("decode", "decode-avx2", "decode-others", "context", "threads", "batched", "startup", "quantize", "latency"),
    *("shared-prefix", "kernels", "instructions", "quality"),
]


@pytest.mark.parametrize("section", SECTIONS)
def test_the_page_has_a_section_for_every_script(section: str) -> None:
    page = (ROOT / "docs/performance.md").read_text(encoding="utf-8")

    assert page.count(f"<!-- begin {section} -->") == page.count(f"<!-- end {section} -->") == 1


@pytest.mark.slow
def test_vectors_of_short_texts_are_measured_without_a_peer(tmp_path: Path) -> None:
    flags = ("--shape", "tiny-bert", "--threads", "1", "--reps", "1", "--texts", "5", "--json", "--no-peer")

    made = result(script("embeddings.py", *flags, "--models", tmp_path))

    [row] = made["rows"]
    assert row["server"] == "oxillama"
    assert row["texts/s"] == pytest.approx(5 / row["seconds"])
