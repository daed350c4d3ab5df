"""oxillama tokenize and version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import oxillama
from oxillama.core._core import available_isas, default_reading, readings
from oxillama.machine import processor, usable_processors
from oxillama.models.tuning import remembered
from tests.support.cli import oxillama as run
from tests.support.models import make_model
from tests.support.shared import shared


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


def test_standard_input_and_the_option_give_the_same_ids(model: Path) -> None:
    option = run("tokenize", "--model", model, "--ids", "--text", "a bc")
    stdin = run("tokenize", "--model", model, "--ids", stdin=b"a bc")

    assert option.returncode == 0
    assert option.stdout == stdin.stdout
    assert option.stdout.split()[0] == b"1"  # BOS


def test_a_special_token_is_text_unless_asked_for(model: Path) -> None:
    as_text = run("tokenize", "--model", model, "--ids", "--no-bos", "--text", "</s>").stdout.split()
    as_token = run("tokenize", "--model", model, "--ids", "--no-bos", "--special", "--text", "</s>").stdout.split()

    assert b"2" not in as_text
    assert as_token == [b"2"]


def test_json_names_every_token(model: Path) -> None:
    made = json.loads(run("tokenize", "--model", model, "--json", "--text", "ab").stdout)

    assert made["ids"] == [token["id"] for token in made["tokens"]]
    assert made["tokens"][0] == {"id": 1, "text": "<s>"}
    assert "".join(token["text"] for token in made["tokens"][1:]) == "▁ab"


def test_a_vocabulary_without_tensors_is_enough() -> None:
    vocabulary = shared("tokenizers/ggml-vocab-llama-spm.gguf")

    done = run("tokenize", "--model", vocabulary, "--ids", "--text", "Hello world")

    assert done.stdout.split() == [b"1", b"15043", b"3186"]


@pytest.mark.parametrize("command", ["tokenize", "info", "run", "bench"])
@pytest.mark.parametrize("content", [None, b"", b"GGUF", b"nonsense" * 100], ids=["absent", "empty", "cut", "other"])
def test_a_bad_file_is_reported_in_one_line(command: str, content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "bad.gguf"
    if content is not None:
        file.write_bytes(content)

    done = run(command, "--model", file, *(["--prompt", "a"] if command == "run" else []))

    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert b"bad.gguf" in done.stderr


def test_version_names_the_row_in_use_and_the_available_ones() -> None:
    facts = json.loads(run("version", "--json").stdout)
    forced = json.loads(run("version", "--json", OXILLAMA_ISA="generic").stdout)

    assert facts["version"] == oxillama.__version__
    assert facts["kernels"] == facts["available"][-1]
    assert facts["available"][0] == "generic"
    assert forced["kernels"] == "generic"


def defaults(which: str, origin: str) -> dict[str, dict[str, str]]:
    return {
        f"{which} weights, {tokens} tokens": {"reading": default_reading(several), "origin": origin}
        for tokens, several in (("1-2", False), ("3+", True))
    }


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("", defaults("all", "default until measured")),
        ("off", defaults("all", "default")),
        (readings()[0], {"all weights": {"reading": readings()[0], "origin": "forced"}}),
    ],
)
def test_version_shows_how_weights_are_read(said: str, shown: dict[str, dict[str, str]], tmp_path: Path) -> None:
    cache = str(tmp_path)
    made = json.loads(run("version", "-v", "--json", XDG_CACHE_HOME=cache, OXILLAMA_TUNE=said).stdout)
    text = run("version", "--verbose", XDG_CACHE_HOME=cache, OXILLAMA_TUNE=said).stdout.decode()

    assert made["reading"] == shown
    lines = [line for line in text.splitlines() if line.startswith("reading")]
    assert lines == [f"reading  {name}: {how['reading']} ({how['origin']})" for name, how in shown.items()]


def test_version_shows_what_earlier_loads_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    key = remembered.key_of(processor(), available_isas()[-1], usable_processors(), readings())
    known, once = remembered.Remembered(readings()[1], 2), remembered.Remembered(readings()[2], 1)
    found = {"Q4_K, 1-2 tokens": known, "Q6_K, 1-2 tokens": once}
    remembered.remember(key, found)

    made = json.loads(run("version", "-v", "--json").stdout)["reading"]

    assert made == {
        "Q4_K, 1-2 tokens": {"reading": readings()[1], "origin": "cached"},
        **defaults("other", "default until measured"),
    }


def test_an_unknown_reading_is_refused_in_one_line() -> None:
    done = run("version", "-v", OXILLAMA_TUNE="quick")

    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"OXILLAMA_TUNE=quick" in done.stderr
