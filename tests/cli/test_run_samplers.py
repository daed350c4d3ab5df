"""Options of run for samplers, banned strings and filling in the middle, on a model that says what the test wants."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import oxillama
from tests.support.scripted_model import scripted_model

FIM = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_sep|>")
ONE = ("--threads", "1")


@pytest.fixture(scope="module")
def coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """After the middle's token it writes a sum, and ends it with the token before a file's name."""
    path = tmp_path_factory.mktemp("model") / "coder.gguf"
    return scripted_model(path, {"<|fim_middle|>": "a + b<|file_sep|> more", "x": "yz"}, control=FIM)


def test_a_suffix_asks_for_the_middle(coder: Path) -> None:
    done = oxillama("run", "--model", coder, "def", "--suffix", "end", "--json", *ONE)

    found = json.loads(done.stdout)
    assert (found["text"], found["finish_reason"]) == ("a + b", "stop")


def test_a_model_that_cannot_fill_in_is_one_line() -> None:
    done = oxillama("run", "def", "--suffix", "end", *ONE)

    assert done.returncode == 1
    assert b"its vocabulary has no tokens for filling in the middle" in done.stderr.splitlines()[-1]


def test_a_banned_string_is_not_written(coder: Path) -> None:
    def say(*options: str) -> str:
        done = oxillama("run", "--model", coder, "--raw", "x", "--max-tokens", 4, "--temp", 0, *options, *ONE)
        assert done.returncode == 0
        return done.stdout.decode()

    assert say().startswith("yz")
    assert "yz" not in say("--banned-string", "yz", "--banned-string", "q", "--samplers", "top_k;temp")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--samplers", "top_k;top_q"), "--samplers: 'top_q' is not a sampler. Known are: penalties, dry, "),
        (("--typical-p", "2"), "--typical-p: 2.0 is not between 0.0 and 1.0"),
        (("--dry-sequence-breaker", ""), "--dry-sequence-breaker: one of the strings is empty"),
        (("--banned-string", ""), "--banned-string: one of the strings is empty"),
    ],
)
def test_a_wrong_option_is_reported_before_the_model_is_loaded(options: tuple[str, ...], words: str) -> None:
    done = oxillama("run", "--model", "/nowhere.gguf", "x", *options)

    assert done.returncode == 2
    assert words in done.stderr.decode()
