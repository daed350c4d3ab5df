"""Fill-in-the-middle tokens: with which a model is asked for the text between two others (arXiv:2207.14255).

Most models take prefix, suffix, middle: Qwen2.5-Coder, CodeLlama, StarCoder, DeepSeek-Coder, Granite, CodeGemma, GLM, …
Some were trained with the suffix first, and their tokens have names of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SUFFIX_FIRST = (
    ("[PREFIX]", "[SUFFIX]", None),  # Codestral (mistral-common, encode_fim)
    ("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>"),  # Seed-Coder
)
"""Texts of prefix, suffix and middle tokens of models that read the suffix first; Codestral has no middle token."""
ENDS = ("<EOT>", "▁<EOT>", "<|file_separator|>", "<file_sep>")
"""Texts of tokens that end a middle, beside those that end any text."""


@dataclass(frozen=True, slots=True)
class FimTokens:
    """The ids of a vocabulary's tokens. repository, separator: before a repository's and a file's name, or None.

    ends: every token that ends the middle, beside those that end any text.
    """

    prefix: int
    suffix: int
    middle: int | None
    suffix_first: bool = False
    repository: int | None = None
    separator: int | None = None
    ends: frozenset[int] = frozenset()


def fim_tokens(special: Mapping[str, int], ids: Mapping[str, int]) -> FimTokens | None:
    """The tokens of a vocabulary; None if it has none. special: ids by GGUF's names; ids: those of all texts."""
    order = [special.get(name) for name in ("fim_pre", "fim_suf", "fim_mid")]
    found = [(order, False)] if None not in order else []
    for texts in SUFFIX_FIRST:
        if all(text is None or text in ids for text in texts):
            found.append(([None if text is None else ids[text] for text in texts], True))
    if not found:
        return None
    (prefix, suffix, middle), suffix_first = found[0]
    assert prefix is not None
    assert suffix is not None
    ends = {special.get(f"fim_{name}") for name in ("pre", "suf", "mid", "pad", "rep", "sep")}
    ends |= {prefix, suffix, middle, *(ids.get(text) for text in ENDS)}
    return FimTokens(
        prefix,
        suffix,
        middle,
        suffix_first,
        special.get("fim_rep"),
        special.get("fim_sep"),
        frozenset(token for token in ends if token is not None),
    )
