"""What the shapes with tags and literals write is read back, wherever it is cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxillama.chat.conversation import ToolCall
from oxillama.chat.formats.families import literal, tagged
from oxillama.chat.formats.wire import Family, WireFormat
from oxillama.chat.tools import ToolChoice
from oxillama.text.prompt_text import PromptText, prompt_text
from tests.support.odd_calls import CALLS, TOOLS, tokens_of
from tests.support.replies import WHOLE, Read, Specials, read_tokens

FAMILIES = [*tagged.FAMILIES, tagged.hunyuan(":opensource"), *literal.FAMILIES]
IDS = [family.name for family in FAMILIES]

CUTS = st.sampled_from([(), WHOLE]) | st.lists(st.integers(0, 10_000), min_size=1, max_size=9).map(tuple)


def _written(format_: WireFormat, calls: list[tuple[str, dict[str, Any]]]) -> PromptText:
    made = [
        ToolCall(id=f"call_{n}", name=name, arguments=json.dumps(arguments, ensure_ascii=False))
        for n, (name, arguments) in enumerate(calls)
    ]
    return format_.write(made)


def _reply(family: Family, content: str, reasoning: str, written: PromptText) -> PromptText:
    gap = "\n" * family.shape.reader(WireFormat(family, None).markers).gap if content else ""
    if reasoning:
        content = f"{family.reasoning[0].open}\n{reasoning}\n{family.reasoning[0].close}\n\n{content}"
    return prompt_text(content + gap, written)


def _spells(family: Family, text: str) -> bool:
    """Whether the text contains a marker that is not a special token, so that nothing tells it from one."""
    return any(marker and marker in text for marker in family.texts())


@pytest.mark.parametrize("special", [True, False], ids=["tokens", "texts"])
@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_calls_are_read_as_they_were_written(family: Family, special: bool) -> None:
    _check_round_trips(family, special, 3)


@pytest.mark.slow
@pytest.mark.parametrize("special", [True, False], ids=["tokens", "texts"])
@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_many_calls_are_read_as_they_were_written(family: Family, special: bool) -> None:
    _check_round_trips(family, special, 100)


def _check_round_trips(family: Family, special: bool, examples: int) -> None:
    vocabulary = Specials(family.texts() if special else ())
    format_ = WireFormat(family, vocabulary)

    @settings(max_examples=examples, deadline=None)
    @given(
        CALLS, st.sampled_from(["", "I will look.", "One\n\ntwo [3] {4} <5>"]), st.sampled_from(["", "Hm\nno"]), CUTS
    )
    def check(calls: list[tuple[str, dict[str, Any]]], content: str, reasoning: str, cuts: tuple[int, ...]) -> None:
        reasoning = reasoning if family.reasoning else ""
        if family.name == "Llama 4":
            content = ""  # the reply is nothing but calls
        if not special and _spells(family, json.dumps(calls, ensure_ascii=False)):
            return
        text = _reply(family, content, reasoning, _written(format_, calls))
        read = read_tokens(format_.parser(TOOLS), tokens_of(vocabulary, text, cuts))
        assert read.values == calls
        assert all(read.complete)
        assert (read.content, read.reasoning) == (content, reasoning)

    check()


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_events_do_not_depend_on_cuts(family: Family) -> None:
    vocabulary = Specials(family.texts())
    format_ = WireFormat(family, vocabulary)
    calls = [("look.up-it", {"text": 'a</parameter>\n"é', "count": 5, "list": [1, "x"]}), ("now", {})]
    text = _reply(family, "Well:", "", _written(format_, calls))
    text = prompt_text(text, "\nBye.")
    reads: list[Read] = []
    for size in (1, 2, 3, 5, 8, 1000):
        cuts = tuple(range(0, len(text.text.encode()), size))
        reads.append(read_tokens(format_.parser(TOOLS), tokens_of(vocabulary, text, cuts)))
        reads[-1].ids.clear()
    assert all(read == reads[0] for read in reads)
    assert reads[0].values == calls or family.name == "Llama 4"


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_a_tool_that_is_not_offered_is_content(family: Family) -> None:
    format_ = WireFormat(family, Specials(()))
    written = _written(format_, [("unknown", {"text": "x"})])
    read = read_tokens(format_.parser(TOOLS), Specials(()).tokens(written.text, WHOLE))
    assert (read.content, read.calls) == (written.text, [])


@pytest.mark.parametrize("family", FAMILIES, ids=IDS)
def test_a_reply_that_is_only_calls_that_may_not_be_made_is_empty(family: Family) -> None:
    format_ = WireFormat(family, Specials(family.texts()))
    written = _written(format_, [("look.up-it", {"text": "x"}), ("now", {})])
    parser = format_.parser(TOOLS, ToolChoice(mode="none"))
    read = read_tokens(parser, Specials(family.texts()).tokens(written.text, WHOLE))
    assert (read.content, read.calls) == ("", [])
