"""`oxillama run` treats a prompt as a user's message or as a text to continue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oxillama.embedded import model_path
from tests.support.cli import oxillama
from tests.support.scripted_model import ScriptedModel
from tests.support.terminal import on_terminal

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}{% if add_generation_prompt %}?{% endif %}"
ONE = ("--threads", "1", "--max-tokens", "20", "--temp", "0")


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that generates "answered" after its template, and "continued" after a text that ends in "x"."""
    script = {"?": "answered", "x": "continued", "<|im_start|>": "a control token"}
    model = ScriptedModel(script, control=("<|im_start|>",), chat_template=TEMPLATE)
    return model.write(tmp_path_factory.mktemp("model") / "chat.gguf")


@pytest.fixture(scope="module")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = ScriptedModel({"x": "continued"}, control=("<|im_start|>",))
    return model.write(tmp_path_factory.mktemp("model") / "base.gguf")


@pytest.mark.parametrize("prompt", [["x"], ["--prompt", "x"], ["x", "--json"], ["--prompt", ""]], ids=" ".join)
def test_a_model_with_a_template_answers_a_turn(chat_model: Path, prompt: list[str]) -> None:
    done = oxillama("run", "--model", chat_model, *prompt, *ONE)

    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    text = json.loads(done.stdout)["text"] if "--json" in prompt else done.stdout.decode()
    assert text == "answered"


def test_raw_continues_the_text(chat_model: Path) -> None:
    assert oxillama("run", "--model", chat_model, "--raw", "x", *ONE).stdout == b"continued"


def test_a_model_without_a_template_continues_the_text(base_model: Path) -> None:
    assert oxillama("run", "--model", base_model, "x", *ONE).stdout == b"continued"


def test_control_tokens_are_read_with_raw_and_not_in_a_turn(chat_model: Path) -> None:
    arguments = ("run", "--model", chat_model, "<|im_start|>", "--json", *ONE)

    raw, turn = json.loads(oxillama(*arguments, "--raw").stdout), json.loads(oxillama(*arguments).stdout)

    assert len(raw["prompt_ids"]) == 2  # BOS and the control token
    assert raw["text"] == "a control token"
    assert turn["prompt_ids"].count(raw["prompt_ids"][1]) == 1  # the template's own, not the user's
    assert turn["text"] == "answered"


def test_special_is_raw_under_its_old_name(chat_model: Path) -> None:
    done = oxillama("run", "--model", chat_model, "--special", "x", *ONE)

    assert done.stdout == b"continued"
    assert done.stderr == b"oxillama: --special has become --raw\n"


@pytest.mark.parametrize(("flags", "words"), [([], b"oxillama"), (["--raw"], b"")], ids=["turn", "raw"])
def test_the_demonstration_model_takes_an_empty_prompt(flags: list[str], words: bytes) -> None:
    done = oxillama("run", "--prompt", "", *flags, *ONE)

    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert words in done.stdout


def test_the_demonstration_model_answers_a_question() -> None:
    done = oxillama("run", "How do I set the port?", "--temp", "0", "--model", model_path())

    assert b"--port" in done.stdout
    assert done.stderr == b""


def test_on_a_terminal_lines_end_between_words(tmp_path: Path) -> None:
    words = " ".join(f"word{n}-of-many" for n in range(100, 120)) + " end."
    model = ScriptedModel({"x": words}).write(tmp_path / "m.gguf")

    with on_terminal("-m", "oxillama", "run", "x", "--model", model, "--threads", "1") as terminal:
        lines = terminal.expect(b"end.").decode().split("\n")
        assert terminal.end() == 0

    assert len(lines) > 2
    assert all(len(line) <= 100 for line in lines)
    assert " ".join(lines) == words
