from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oxillama import Model
from oxillama.engine.api.types import SamplingParams
from tests.support.scripted_model import ScriptedModel, scripted_model

TEXT = "Grüße! Hello, hello, hello world 😀.\nBye"


def said(path: Path, prompt: str, **sampling: Any) -> str:
    with Model(path) as model:
        return "".join(model.generate(prompt, SamplingParams(max_tokens=100, **sampling)))


@pytest.mark.parametrize("vocab", ["spm", "bpe"])
def test_generates_its_script_with_any_sampling(tmp_path: Path, vocab: str) -> None:
    path = scripted_model(tmp_path / "m.gguf", {"\n": TEXT, "?": "Yes"}, vocab=vocab)
    for seed in range(3):
        assert said(path, "Anything\n", seed=seed, temperature=1.5, presence_penalty=2.0) == TEXT
    assert said(path, "Really?") == "Yes"
    assert said(path, "Nothing") == ""


def test_names_tokens_one_by_one_and_loops(tmp_path: Path) -> None:
    path = scripted_model(tmp_path / "m.gguf", {"\n": ("a", "b", "a")})
    assert said(path, "\n") == "ab" * 50


def test_generates_control_tokens(tmp_path: Path) -> None:
    model = ScriptedModel({"\n": "one<|x|>two"}, control=("<|x|>", "<|end|>"), end="<|end|>")
    with Model(model.write(tmp_path / "m.gguf")) as opened:
        ids = [event.token_id for event in opened.events("\n") if event.token_id is not None]
        assert model.ids["<|x|>"] in ids
        assert ids[-1] == model.ids["<|end|>"]
        assert opened.detokenize(ids) == b"onetwo"


def test_prompts_are_detokenized_unchanged(tmp_path: Path) -> None:
    for vocab in ("spm", "bpe"):
        with Model(scripted_model(tmp_path / f"{vocab}.gguf", {" ": "Hi"}, vocab=vocab)) as model:
            assert model.detokenize(model.tokenize("A b  ü\n")) == "A b  ü\n".encode()
            assert "".join(model.generate("And? ")) == "Hi"


def test_refuses_a_script_that_contradicts_itself() -> None:
    with pytest.raises(ValueError, match="two followers"):
        ScriptedModel({"\n": ("a", "b", "a", "c")})
    with pytest.raises(ValueError, match="twice"):
        ScriptedModel({"\n": "a", "?": "a"})
