"""Calls with the values that formats without quotes get wrong, and the tokens of replies that contain them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from oxillama.chat.tools import Tool
from oxillama.text.prompt_text import PromptText
from tests.support.replies import Specials

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "sure": {"type": "boolean"},
        "nothing": {"type": "null"},
        "maybe": {"type": ["string", "null"]},
        "list": {"type": "array", "items": {"$ref": "#/$defs/any"}},
        "record": {"type": "object", "properties": {"text": {"type": "string"}, "list": {"type": "array"}}},
        "kind": {"enum": ["a b", "<c>", "5"]},
    },
    "$defs": {"any": {"type": ["string", "integer", "boolean", "null"]}},
}
TOOLS = [Tool(name="look.up-it", parameters=SCHEMA), Tool(name="now", parameters=None), Tool(name="x" * 64)]

ODD = st.sampled_from(
    [
        "", " ", "\n", "\n\n", "5", "true", "null", '"', "'", "\\", "\\n", "{}", "[1", "</parameter >", "</parameter>x",
        "</param", "<parameter=a>", "</function>", "</arg_value> ", "</invoke>", "é😀\u2028", "a\tb\r\n", "<|im_end|>",
        "<tool_call>", '{"name": "now", "arguments": {}}', "now()", "[now()]", "call:now{}", "}", ")", "]", ",", "=",
        "<think>", "</think>", "``` json", "]<]minimax[>", "｜DSML｜", "<![CDATA[x]]>", "&lt;", "\u0000\u0001\ufffd",
    ]
)  # fmt: skip
TEXTS = st.lists(ODD | st.text(max_size=8), max_size=4).map("".join)
# What a string may be that is not known to be one. A shape without quotes cannot tell "5" from 5.
WORDS = st.text(alphabet="bcdxyz é", min_size=1, max_size=8).map(str.strip).filter(bool)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([2**63, -(2**70)])
PLAIN = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | WORDS
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS,
    "count": st.integers(-(2**70), 2**70),
    "share": NUMBERS,
    "sure": st.booleans(),
    "nothing": st.none(),
    "maybe": st.none() | WORDS,
    "list": st.lists(PLAIN, max_size=4),
    "record": st.fixed_dictionaries(
        {}, optional={"text": TEXTS, "list": st.lists(st.dictionaries(WORDS, WORDS, min_size=1))}
    ),
    "kind": st.sampled_from(["a b", "<c>", "5"]),
}
ARGUMENTS = st.fixed_dictionaries({}, optional=MEMBERS)
CALLS: st.SearchStrategy[list[tuple[str, dict[str, Any]]]] = st.lists(
    st.tuples(st.just("look.up-it"), ARGUMENTS) | st.tuples(st.sampled_from(["now", "x" * 64]), st.just({})),
    min_size=1,
    max_size=3,
)
CONTENTS = ["", "I will look.", "One\n\ntwo [3] {4} <5>"]


def tokens_of(vocabulary: Specials, text: PromptText, cuts: tuple[int, ...]) -> Iterator[tuple[int, bytes]]:
    """The tokens of a reply: text in a value is no special token."""
    at = 0
    for start, end in [*text.content, (len(text.text), len(text.text))]:
        yield from vocabulary.tokens(text.text[at:start], cuts)
        yield from Specials(()).tokens(text.text[start:end], cuts)
        at = end
