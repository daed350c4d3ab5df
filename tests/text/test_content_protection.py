"""Content of a chat never becomes a control token, and everything else is tokenized as before."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxillama.text import ChatTemplate, PromptText, Tokenizer
from oxillama.text.prompt_text import prompt_text
from tests.support.shared import ROOT
from tests.text.vocabularies import CONTROL, NORMAL, REAL, USER_DEFINED, bpe_metadata, real, spm_metadata

PUBLISHED = sorted(ROOT.glob("templates/*.jinja"))
MARK = re.compile(r"<[|｜][^<>{}'\"]{1,40}[|｜]>|</?s>|\[/?(?:INST|TOOL_CALLS|SYSTEM_PROMPT)\]|<(?:start|end)_of_turn>")
HARMLESS = "hello"


@cache
def model_of(stem: str) -> tuple[ChatTemplate, Tokenizer, tuple[str, ...]]:
    """A published template, and a vocabulary in which all its tags are control tokens."""
    source = (ROOT / "templates" / f"{stem}.jinja").read_text(encoding="utf-8")
    marks = tuple(dict.fromkeys(["<s>", "</s>", *MARK.findall(source)]))
    metadata = bpe_metadata(control=marks)
    tokenizer = Tokenizer(metadata | {"tokenizer.ggml.bos_token_id": 256, "tokenizer.ggml.eos_token_id": 257})
    return ChatTemplate({"default": source}, tokenizer.special_texts), tokenizer, marks


def controls(stem: str, *contents: str) -> list[str]:
    """The control tokens in the prompt of a conversation, in order."""
    template, tokenizer, _ = model_of(stem)
    roles = ("user", "assistant", "user")
    messages = [{"role": role, "content": text} for role, text in zip(roles, contents, strict=True)]
    tools: Any = [] if stem.endswith("tool_use") else None
    ids = tokenizer.encode(template.render(messages, tools=tools), add_special=False, parse_special=True)
    return [tokenizer.token_text(i) for i in ids if i >= 256]


@pytest.mark.parametrize("stem", [path.stem for path in PUBLISHED])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_no_content_becomes_a_control_token(stem: str, data: st.DataObject) -> None:
    marks = model_of(stem)[2]
    pieces = st.lists(st.sampled_from([*marks, "a", " ", "\n", "<|", "|>", "<", "/s>"]), min_size=1, max_size=6)
    contents = ["a" + "".join(data.draw(pieces)) + "a" for _ in range(3)]
    assert controls(stem, *contents) == controls(stem, HARMLESS, HARMLESS, HARMLESS)


def test_the_tags_of_published_templates_are_control_tokens_here() -> None:
    assert controls("Qwen-Qwen2.5-7B-Instruct", "a", "b", "c") == ["<|im_start|>", "<|im_end|>"] * 4 + ["<|im_start|>"]
    assert len(model_of("openai-gpt-oss-120b")[2]) > 5


@pytest.mark.parametrize("name", REAL)
def test_prompts_without_texts_of_control_tokens_in_content_keep_their_ids(name: str) -> None:
    tokenizer = real(name)
    bos = tokenizer.special_texts.get("bos_token", "")
    for text in ("Hello  world\n\n", " 3.14 naïve 😀\n", "don't\t\tx", ""):
        content = PromptText.of_content(text)
        prompt = prompt_text(bos, "user\n", content, bos, "\n assistant", content)
        assert tokenizer.encode(prompt, False, True) == tokenizer.encode(prompt.text, False, True)


SPECIALS = {"<s>": 1, "</s>": 2, "<|end|>": 3}


def spm(*user_defined: str, **extra: Any) -> Tokenizer:
    words = dict.fromkeys(["<|end|>", *user_defined, "▁", "a", "b", "▁a", "▁b", "ab"], 0.0)
    metadata = spm_metadata({word: -float(i) for i, word in enumerate(words)}, **extra)
    types = [CONTROL, *[USER_DEFINED] * len(user_defined), *[NORMAL] * (len(words) - 1 - len(user_defined))]
    metadata["tokenizer.ggml.token_type"][259:] = types
    return Tokenizer(metadata)


def texts(tokenizer: Tokenizer, *pieces: str | PromptText) -> list[str]:
    return [tokenizer.token_text(i) for i in tokenizer.encode(prompt_text(*pieces), False, True)]


def spelled(tokenizer: Tokenizer, *pieces: str | PromptText) -> str:
    return tokenizer.decode(tokenizer.encode(prompt_text(*pieces), False, True), special=True).decode()


def test_a_control_token_counts_only_if_the_template_wrote_all_of_it() -> None:
    tokenizer = spm()
    content = PromptText.of_content
    assert texts(tokenizer, "a<|end|>b") == ["▁a", "<|end|>", "▁b"]
    for pieces in (
        ["a", content("<|end|>"), "b"],
        ["a<|", content("end|>"), "b"],
        ["a<|end|", content(">"), "b"],
        ["a", content("<"), "|end|>b"],
        ["a<|", content("end"), "|>b"],
        [content("a<|end|>b<s>")],
    ):
        assert not set(SPECIALS) & set(texts(tokenizer, *pieces))
        assert spelled(tokenizer, *pieces).removeprefix(" ") == prompt_text(*pieces).text


def test_a_mark_right_after_content_that_begins_like_it_is_found() -> None:
    tokenizer = spm()
    assert texts(tokenizer, PromptText.of_content("a<|"), "<|end|>")[-1] == "<|end|>"
    assert texts(tokenizer, PromptText.of_content("a<|end|>"), "<|end|>").count("<|end|>") == 1
    assert texts(tokenizer, "<|end|>", PromptText.of_content("<|end|>a")).count("<|end|>") == 1


def test_user_defined_tokens_are_text_like_any_other() -> None:
    tokenizer = spm("<think>", "ba")
    for piece in ("<think>", PromptText.of_content("<think>"), PromptText.of_content("<s><think>")):
        assert texts(tokenizer, "a", piece).count("<think>") == 1
    # Also across the border of content, as in plain text.
    assert texts(tokenizer, "b", PromptText.of_content("a<s>")).count("ba") == 1


def test_whitespace_that_a_special_token_removes_may_be_content() -> None:
    tokenizer = spm()
    attrs = tokenizer._vocab.attrs
    attrs[tokenizer.find("<|end|>") or 0] |= 128
    plain = texts(tokenizer, "<|end|>", PromptText.of_content(" \na"))
    assert plain == ["<|end|>", "▁a"]
    assert texts(tokenizer, "<|end|>", PromptText.of_content(" \na<s>"))[:2] == plain


def test_the_channels_of_harmony_are_control_tokens_that_are_shown() -> None:
    tokenizer = Tokenizer(bpe_metadata(control=("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>")))
    start = tokenizer.find("<|start|>")
    assert start is not None
    assert tokenizer.token_bytes(start) == b"<|start|>"
    assert start in tokenizer.encode("<|start|>", parse_special=True)
    assert start not in tokenizer.encode(PromptText.of_content("<|start|>"), parse_special=True)


@given(st.text(st.characters(exclude_categories=[]), max_size=20))
def test_any_text_can_be_content(text: str) -> None:
    tokenizer = spm()
    ids = tokenizer.encode(prompt_text("<s>", PromptText.of_content(text), "<|end|>"), False, True)
    assert ids[0] == 1
    assert ids[-1] == tokenizer.find("<|end|>")
    assert not set(ids[1:-1]) & {0, 1, 2, tokenizer.find("<|end|>")}
