"""Replies of random parts, for every family: nothing raises, and every word that was said is somewhere."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from oxillama.chat.conversation import ToolCall
from oxillama.chat.formats.detect.rules import FAMILIES
from oxillama.chat.formats.families.tagged import hunyuan
from oxillama.chat.formats.wire import Family, WireFormat
from oxillama.chat.tools import Tool, ToolChoice
from tests.support.replies import Specials, read_tokens

ALL = {**FAMILIES, "Hunyuan with a suffix": hunyuan(":opensource")}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"s": {"type": "string"}, "n": {"type": "integer"}}}
TOOLS = [Tool(name="f", parameters=SCHEMA), Tool(name="get.it", parameters=None)]
WRITTEN = [
    [ToolCall(id="call_1aB2c", name="f", arguments='{"s": "x", "n": 5, "o": {"a": [1, null]}}')],
    [ToolCall(id="1", name="f", arguments="{}"), ToolCall(id="2", name="get.it", arguments='{"s": ""}')],
]
COMMON = [
    "f", "get.it", "h", "s", "n", "{", "}", "[", "]", "(", ")", '"', "'", ":", ",", "=", "\\", "\n", "\n\n", " ", "\t",
    "5", "-1.5e3", "true", "None", '"name": "f"', '"arguments": {', '{"s": "', "s=", 'name="f"', 'string="true"', "é😀",
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<", ">", "</", "```json\n", "```", "functions.f:0", "json",
]  # fmt: skip
_WORD = re.compile("w[0-9]+w")


def parts_of(family: Family) -> list[str]:
    """The family's markers, and pieces of calls as it writes them."""
    found = [text for text in family.texts() if text]
    for calls in WRITTEN:
        written = WireFormat(family, None).write(calls).text
        found += [part for part in re.split(r"(<[^<>]*>|\n|[\[\](){},:=])", written) if part]
        found.append(written)
    return found


def reply(dice: random.Random, parts: Sequence[str]) -> str:
    """Random parts, and words between them that occur once."""
    pieces = []
    for at in range(dice.randrange(1, 25)):
        kind = dice.random()
        pieces.append(dice.choice(parts) if kind < 0.6 else dice.choice(COMMON) if kind < 0.85 else f"w{at}w")
    return "".join(pieces)


def check(family: Family, number: int, seed: int) -> None:
    dice = random.Random(f"{family.name} {seed}")
    parts = parts_of(family)
    vocabularies = [Specials(()), Specials(family.texts()), Specials((), family.texts())]
    formats = [WireFormat(family, vocabulary) for vocabulary in vocabularies]
    tails = ["", "<think>\n", "<think>\n\n</think>\n\n", family.reasoning[0].open if family.reasoning else "\n"]
    choices = [None, None, ToolChoice(mode="none"), ToolChoice(mode="required", names=frozenset(("f",)))]
    for _ in range(number):
        at = dice.randrange(len(formats))
        text, choice, truncated = reply(dice, parts), dice.choice(choices), dice.random() < 0.3
        cuts = [dice.randrange(200) for _ in range(dice.randrange(1, 6))] if dice.random() < 0.7 else []
        parser = formats[at].parser(TOOLS, choice, prompt_tail=dice.choice(tails))
        tokens = list(vocabularies[at].tokens(text, cuts))
        if dice.random() < 0.1:
            tokens.insert(dice.randrange(len(tokens) + 1), (0, dice.randbytes(3)))
        found = read_tokens(parser, tokens, truncated)
        if choice is None and not truncated and not family.headed:  # whose headers are not shown
            text = b"".join(piece for _, piece in tokens).decode("utf-8", "replace")
            said = Counter(_WORD.findall(text))
            heard = Counter(_WORD.findall(found.content + found.reasoning + "".join(a for _, a in found.calls)))
            assert not said - heard, (text, found)


@pytest.mark.parametrize("name", ALL)
def test_random_replies(name: str) -> None:
    check(ALL[name], 40, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_many_random_replies(name: str) -> None:
    check(ALL[name], 100_000 // len(ALL), seed=2)


@pytest.mark.parametrize("name", ALL)
def test_random_bytes(name: str) -> None:
    dice = random.Random(name)
    format_ = WireFormat(ALL[name], None)
    for _ in range(5):
        data = dice.randbytes(200)
        found = read_tokens(format_.parser(TOOLS), [(0, bytes([byte])) for byte in data])
        assert found.content + found.reasoning == data.decode("utf-8", "replace") or found.calls


def test_the_parts_contain_whole_calls() -> None:
    for family in ALL.values():
        text = parts_of(family)[-1]
        found = read_tokens(WireFormat(family, None).parser(TOOLS), Specials(()).tokens(text))
        assert found.calls, family.name
        assert json.loads(found.calls[0][1]) == {}
