"""Hypothesis strategies for what models say: arguments, texts, calls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from oxillama.chat.conversation import ToolCall

ODD = (
    "", " ", "\n", "\\", '"', "'", "it's \"so\"\n", "</tool_call>", "<tool_call>\n{", "</parameter>\n", "[TOOL_CALLS]",
    "```json\n{}\n```", "{", "}}", "é\u2028\U0001f600", "\x00\x1f", "null", "12", "</think>", ">>>f\n", "\\u00e9",
    "\\n",
)  # fmt: skip
"""Strings that break parsers."""

_TEXT = st.one_of(st.sampled_from(ODD), st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    _TEXT,
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["city", "days", "a_b", "from"])
ARGUMENTS = st.dictionaries(KEYS, VALUES, max_size=4)


def calls(names: Sequence[str], most: int = 3) -> st.SearchStrategy[list[tuple[str, dict[str, Any]]]]:
    """Calls by name and arguments."""
    return st.lists(st.tuples(st.sampled_from(names), ARGUMENTS), max_size=most)


def said(forbidden: Sequence[str]) -> st.SearchStrategy[str]:
    """A text without the forbidden ones in it, or without any beginning of a marker at its ends."""
    text = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n.<{["), max_size=30)
    plain = text.map(lambda text: f"So {text.strip()}.")
    return plain.filter(lambda text: not any(each in text for each in forbidden))


def tool_calls(made: Sequence[tuple[str, dict[str, Any]]]) -> list[ToolCall]:
    return [
        ToolCall(id=f"a{n:08}", name=name, arguments=json.dumps(arguments, ensure_ascii=n % 2 == 0))
        for n, (name, arguments) in enumerate(made)
    ]
