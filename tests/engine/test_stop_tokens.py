"""Stop strings that name control tokens, which readers never see, end an answer like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oxillama import Model
from oxillama.engine.api.types import SamplingParams
from tests.support.scripted_model import scripted_model

REPLY = "Hello<|turn|> world"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripted_model(
        tmp_path_factory.mktemp("model") / "m.gguf",
        {"\n": REPLY},
        control=("<|turn|>", "<|end|>"),
        user_defined=("<note>",),
        end="<|end|>",
    )


def answer(path: Path, **sampling: Any) -> tuple[str, str | None]:
    with Model(path) as model:
        events = list(model.events("Say it.\n", SamplingParams(max_tokens=40, **sampling)))
    return "".join(event.text for event in events), events[-1].finish_reason


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("<|turn|>", "Hello"),
        ("lo<|turn|>", "Hel"),
        ("<|turn|> wor", "Hello"),
        ("o<|turn|> w", "Hell"),
        ("<|turn|>s", "Hello world"),
        ("<note>", "Hello world"),
    ],
)
def test_a_stop_string_may_name_a_control_token(path: Path, stop: str, text: str) -> None:
    assert answer(path, stop=(stop,)) == (text, "stop")


def test_a_stop_string_may_name_the_end_token_that_is_ignored(path: Path) -> None:
    assert answer(path, stop=("<|end|>",), ignore_eos=True) == ("Hello world", "stop")
    assert answer(path, ignore_eos=True)[1] == "length"
