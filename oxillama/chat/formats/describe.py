"""A wire format in words, for `oxillama info` and the table in the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oxillama.chat.formats.wire import Family

SHAPES = {
    "J": "a JSON object with name and arguments, between markers",
    "JA": "a JSON array of such objects",
    "NJ": "a name, then the JSON object of the arguments",
    "A1": "a JSON array of objects whose key is the name",
    "T": "a JSON array in a block of code after `Action:`",
    "harmony": "a message to `functions.NAME`",
    "XE": "`<function=NAME>` with a tag for each argument",
    "XA": "`<invoke name=NAME>` with a tag for each argument",
    "XT": "`<invoke name=NAME>` with nested tags named as the arguments",
    "KV": "a name, then pairs of tags for key and value",
    "K3": "elements whose tags are tokens, one for each argument",
    "P": "a list of Python calls",
    "G": "`call:NAME{…}` with strings between tokens",
}
"""Wire shapes: how one call looks."""


def tools_of(family: Family) -> str:
    """How the model learns of tools."""
    if family.native:
        return "by its template"
    return "by a system text" + (", also in its own shape" if family.also else "")


def calls_of(family: Family) -> str:
    """How many calls a reply may have."""
    return "one" if family.shape.one else "several"


def reasoning_of(family: Family) -> str:
    """The tags around its reasoning; "none"."""
    if not family.reasoning:
        return "none"
    tags = family.reasoning[0]
    return f"{tags.open.strip()} … {tags.close.strip()}"


def described(family: Family) -> dict[str, str]:
    """What `oxillama info` says of replies."""
    return {
        "chat_family": family.name,
        "call_shape": family.shape.name,
        "tools": tools_of(family),
        "calls_per_reply": calls_of(family),
        "reasoning": reasoning_of(family),
    }
