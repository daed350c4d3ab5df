"""The words of texts and queries, written so that SQLite's full-text search compares them well."""

from __future__ import annotations

import re
import unicodedata

MOST_TERMS = 64
"""Of a query. A longer one is cut: a search reads the list of each word's places."""

_DENSE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_MIXED = re.compile(r"\b(?=\w*[a-z0-9][A-Z]|\w*[A-Z]{2}[a-z])\w+")
_WORD = re.compile(r"[^\W_]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# English words that every text has. In a query they cost time and say nothing.
_COMMON = _words(
    "a about an and any are as at be been but by can could did do does for from had has have how i if in into is it "
    "its me my of on one or our should so such than that the their them then there these they this those to was we "
    "were what when where which while who whom whose why will with would you your"
)


def indexed(text: str) -> str:
    """The text as it is indexed. Names such as `maxTokens` are also there in parts. Scripts without spaces are written
    as overlapping pairs of characters."""
    text = unicodedata.normalize("NFKC", text)
    text = _MIXED.sub(lambda match: f"{match[0]} {_HUMPS.sub(' ', match[0])}", text)
    return _DENSE.sub(lambda match: f" {_pairs(match[0])} ", text)


def query_terms(query: str) -> list[str]:
    """The words to look for, each once."""
    words = [word.casefold() for word in _WORD.findall(indexed(query))]
    found = list(dict.fromkeys(words))
    telling = [word for word in found if word not in _COMMON]
    return (telling or found)[:MOST_TERMS]


def _pairs(run: str) -> str:
    return " ".join(run[at : at + 2] for at in range(max(1, len(run) - 1)))
