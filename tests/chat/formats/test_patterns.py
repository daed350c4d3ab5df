"""Regular expressions of JSON schemas in the dialect of grammars."""

from __future__ import annotations

import random
import re

import pytest

from oxillama.chat.formats.grammar.patterns import translated
from tests.support.walks import ByteVocabulary, Walks

ENFORCED = [
    "^[a-c]{2,4}$",
    "abc",
    "^a|b",
    "^(a|b)$",
    r"^\d{3}-\d{4}$",
    r"^[\w.-]+@[\w-]+\.[a-z]{2,}$",
    r"^\S+\s\W\D$",
    r"^[^/\\]*$",
    r"^\u0041\x42\u{43}$",
    r"^(?<year>\d{4})$",
    r"^[[&~a]+$",
    r"^a/b\/c$",
    r"^\t\n\r\f\v$",
    "^$",
    "",
    "^.{1,3}$",
]


@pytest.mark.parametrize("pattern", [pattern for pattern in ENFORCED if pattern != "^a|b"])
def test_what_is_admitted_matches(pattern: str) -> None:
    body = translated(pattern)
    assert body is not None
    vocabulary = ByteVocabulary(())
    walks = Walks(vocabulary, f"start: TEXT\nTEXT: /{body}/")
    dice = random.Random(1)
    python = pattern.replace(r"\u{43}", "C").replace("(?<", "(?P<").replace("[[&~a]", r"[\[&~a]")
    for _ in range(20):
        ids = walks.walk(dice, 60)
        if ids is not None:
            text = b"".join(vocabulary.tokens[token] for token in ids).decode()
            assert re.search(python.replace("$", r"\Z"), text), (pattern, text)


@pytest.mark.parametrize(
    "pattern", ["(?=a)", "(?!a)b", "(?<=a)b", r"(a)\1", r"\bword\b", "a^b", "^a|b", "(", r"\p{L}", "a" * 5000]
)
def test_what_has_no_translation(pattern: str) -> None:
    assert translated(pattern) is None
