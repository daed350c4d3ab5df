"""oxillama run on real files: the published text of a trained model, on every isa of this CPU."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cli import environment, oxillama
from tests.support.models import make_model
from tests.support.shared import shared

# The text of stories260K after BOS at temperature 0; the first 200 steps end in "so she".
PUBLISHED = """\
Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, \
red ball. She wanted to play with it, but it was too high.
Lily's mom said, "Lily, let's go to the park." Lily was sad and didn't know what to do. She said, "I want to play \
with your ball, but I can't find it."
Lily was sad and didn't know what to do. She said, "I'm sorry, Lily. I didn't know what to do."
Lily didn't want to help her mom, so she"""
CONTINUED = f"""\
{PUBLISHED} said, "I'm sorry, mom. I didn't know what to do." Her mom said, "Don't worry, Lily. We can help you."""


def available_isas() -> list[str]:
    isas: list[str] = json.loads(oxillama("version", "--json").stdout)["available"]
    return isas


ISAS = available_isas()
ONE = ("--threads", "1")  # two threads would wait for each other longer than they compute


@pytest.fixture(scope="module")
def tiny_f32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "tiny.gguf", mix="F32")


@pytest.mark.parametrize("isa", ISAS)
def test_the_published_text_is_generated_word_for_word(isa: str) -> None:
    model = shared("models/stories260K.gguf")

    done = oxillama("run", "--model", model, "--prompt", "", "--max-tokens", 200, "--temp", 0, *ONE, OXILLAMA_ISA=isa)

    text = done.stdout.decode()
    assert done.returncode == 0, done.stderr
    assert text.startswith(PUBLISHED)
    assert CONTINUED.startswith(text)


@pytest.mark.slow
def test_every_isa_generates_the_same_tokens(tiny_f32: Path) -> None:
    arguments = ("run", "--model", tiny_f32, "--prompt", "a b c", "--max-tokens", 16, "--temp", 0, "--json", *ONE)

    made = {isa: json.loads(oxillama(*arguments, OXILLAMA_ISA=isa).stdout)["ids"] for isa in ISAS}

    assert len(made["generic"]) == 16
    assert all(ids == made["generic"] for ids in made.values())


def test_an_unknown_isa_is_refused_in_one_line(tiny_f32: Path) -> None:
    done = oxillama("run", "--model", tiny_f32, "--prompt", "a", OXILLAMA_ISA="mmx")

    assert done.returncode == 1
    assert b"mmx" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_seed_repeats_a_sampled_text(tiny_f32: Path) -> None:
    arguments = ("run", "--model", tiny_f32, "--prompt", "a", "--max-tokens", 12, "--temp", 1, *ONE)

    first, again, other = (oxillama(*arguments, "--seed", s).stdout for s in (7, 7, 8))

    assert first == again
    assert first != other


def test_ids_in_place_of_a_text_give_the_same_completion(tiny_f32: Path) -> None:
    arguments = ("run", "--model", tiny_f32, "--max-tokens", 8, "--temp", 0, "--json", *ONE)
    text = json.loads(oxillama(*arguments, "--prompt", "ab").stdout)

    ids = json.loads(oxillama(*arguments, "--prompt-ids", ",".join(map(str, text["prompt_ids"]))).stdout)

    assert ids["ids"] == text["ids"]
    assert text["usage"]["completion_tokens"] == 8
    assert text["timings"]["decode_s"] > 0


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        (["--prompt-ids", "99999"], 1, b"99999"),
        (["--prompt", "a", "--temp", "-1"], 2, b"--temp: -1.0 is not between 0.0 and 100.0"),
        (["--prompt", "a", "--prompt-ids", "1"], 2, b"one of PROMPT, --prompt"),
        ([], 2, b"--prompt TEXT"),
        (["--prompt", "a", "--ctx-size", "2", "--max-tokens", "1"], 1, b"context"),
        (["--prompt-file", "/nowhere"], 1, b"/nowhere"),
    ],
    ids=["id out of range", "bad temperature", "two prompts", "no prompt", "context too small", "no such file"],
)
def test_a_model_that_cannot_run_is_reported_in_one_line(
    tiny_f32: Path, flags: list[str], status: int, words: bytes
) -> None:
    done = oxillama("run", "--model", tiny_f32, *flags)

    assert done.returncode == status
    assert done.stdout == b""
    assert words in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_stop_string_is_not_part_of_the_text() -> None:
    model = shared("models/stories260K.gguf")

    done = oxillama("run", "--model", model, "--prompt", "", "--temp", 0, "--stop", " girl", "--threads", 2)

    assert done.stdout == b"Once upon a time, there was a little"


@contextmanager
def endless(model: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A long run, after its first piece of text was read."""
    command: list[str | Path]
    command = [sys.executable, "-m", "oxillama", "run", "--model", model, "--prompt", "a", "--ignore-eos", *ONE]
    process = subprocess.Popen(
        [*command, "--ctx-size", "2048"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    try:
        assert process.stdout is not None
        assert process.stdout.read(1)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_ends_a_run_quietly(tiny_f32: Path) -> None:
    with endless(tiny_f32) as process:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)

    assert process.returncode == 130
    assert errors == b""


def test_a_reader_that_leaves_ends_a_run_quietly(tiny_f32: Path) -> None:
    with endless(tiny_f32) as process:
        assert process.stdout is not None
        process.stdout.close()
        status = process.wait(20)
        assert process.stderr is not None
        errors = process.stderr.read()

    assert status == 141
    assert errors == b""
