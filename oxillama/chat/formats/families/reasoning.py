"""The tags around reasoning."""

from __future__ import annotations

from oxillama.chat.formats.wire import Tags

THINK = Tags("<think>", "</think>")
BRACKETS = Tags("[THINK]", "[/THINK]")
SEED = Tags("<seed:think>", "</seed:think>")
COHERE = Tags("<|START_THINKING|>", "<|END_THINKING|>")
GEMMA = Tags("<|channel>thought", "<channel|>")
APERTUS = Tags("<|inner_prefix|>", "<|inner_suffix|>")
APRIEL = Tags("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]")
GRANITE = Tags("Here is my thought process:", "Here is my response:")

ALL = (
    SEED,
    Tags("<mm:think>", "</mm:think>"),
    BRACKETS,
    COHERE,
    GEMMA,
    APERTUS,
    APRIEL,
    GRANITE,
    Tags("<thinking>", "</thinking>"),
    Tags("<reasoning>", "</reasoning>"),
    Tags("<thought>", "</thought>"),
    THINK,
)


def reasoning_tags(source: str) -> tuple[Tags, ...]:
    """The tags that a template mentions."""
    return tuple(tags for tags in ALL if tags.open in source or tags.close in source)
