"""The embedded model opens, fits its size budget, and answers a minimum of held-out questions correctly."""

from __future__ import annotations

import pytest
import trio

from oxillama.embedded import MODEL_NAME, model_path
from oxillama.embedded.chat import CALL, END, START, TEMPLATE
from oxillama.embedded.evaluate import Case, all_cases, answer_all, table
from oxillama.gguf import GGUFFile
from oxillama.models.describe import describe_model
from oxillama.text.templates.template import ChatTemplate
from oxillama.text.tokenizers.tokenizer import Tokenizer

BUDGET = 8_000_000  # bytes


@pytest.fixture(scope="module")
def gguf() -> GGUFFile:
    return GGUFFile(model_path())


@pytest.fixture(scope="module")
def tokenizer(gguf: GGUFFile) -> Tokenizer:
    return Tokenizer.from_gguf(gguf)


def test_the_file_is_a_llama_of_a_few_million_parameters_within_its_budget(gguf: GGUFFile) -> None:
    description = describe_model(gguf)

    assert model_path().stat().st_size <= BUDGET
    assert description.architecture == "llama"
    assert 2e6 < description.parameters < 8e6
    assert description.name == MODEL_NAME


TEXTS = ["How do I set the port?", "  two  spaces\n\n\tand 1234", "Zoë naïve 漢字 🙂", "<|im_end|>"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_restored_from_its_tokens(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)).decode() == text


def test_the_tags_of_the_chat_format_are_single_tokens_and_end_an_answer(tokenizer: Tokenizer) -> None:
    ids = [tokenizer.encode(mark, parse_special=True) for mark in (START, END, CALL)]
    assert [len(i) for i in ids] == [1, 1, 1]
    assert ids[1][0] in tokenizer.eog_ids
    assert tokenizer.is_control(ids[0][0])
    assert not tokenizer.is_control(ids[2][0])


def test_digits_are_tokens_by_themselves(tokenizer: Tokenizer) -> None:
    assert [tokenizer.decode([i]) for i in tokenizer.encode("2048")] == [b"2", b"0", b"4", b"8"]


def test_the_template_in_the_file_is_the_one_of_the_source(gguf: GGUFFile, tokenizer: Tokenizer) -> None:
    template = ChatTemplate.from_gguf(gguf, tokenizer)
    try:
        assert template.source == TEMPLATE
        assert template.render([{"role": "user", "content": "Hi"}]).text.endswith("<|im_start|>assistant\n")
    finally:
        template.close()


@pytest.fixture(scope="module")
def answered() -> list[Case]:
    """Every second held-out question, answered by the engine."""
    cases = all_cases()[::2]
    trio.run(answer_all, model_path(), cases)
    return cases


FLOORS = {
    "documented facts": 0.8,
    "documented facts, second set": 0.75,
    "refusals off topic": 0.65,
    "refusals off topic, second set": 0.65,
    "stories": 0.75,
}


@pytest.mark.parametrize("group", FLOORS)
def test_enough_answers_are_correct(answered: list[Case], group: str) -> None:
    own = [case for case in answered if case.group == group]
    right = sum(case.right for case in own)
    assert right >= FLOORS[group] * len(own), table(answered)
