"""Regular expressions of schemas over strings that are written without quotes."""

from __future__ import annotations

import random

import pytest

from oxillama.chat.schemas.matching import found_in
from oxillama.chat.schemas.pattern import PatternError, plain_pattern
from tests.support.walks import ByteVocabulary, Walks

ENFORCED = [
    "^[a-c]{2,4}$", "[a-z]", "^a|b", "^(a|b)$", "^a$|^b$", r"^\d{3}-\d{4}$", r"^[\w.-]+@[\w-]+\.[a-z]{2,}$",
    r"^\S+\s\W\D$", r"^[^/\\]*$", r"^\u0041\x42$", r"^(?<year>\d{4})$", "^[[&~a]+$", r"^a/b\/c$", r"^\t\n\r\f\v$", "^$",
    "", "^.{1,3}$", '^["\']$',
]  # fmt: skip


@pytest.mark.parametrize("pattern", ENFORCED)
def test_what_is_admitted_matches(pattern: str) -> None:
    vocabulary = ByteVocabulary(())
    walks = Walks(vocabulary, f"start: TEXT\nTEXT: /{plain_pattern(pattern)}/")
    dice, count = random.Random(1), 0
    for _ in range(20):
        ids = walks.walk(dice, 60)
        if ids is not None:
            count += 1
            text = b"".join(vocabulary.tokens[token] for token in ids).decode()
            assert found_in(pattern, text), (pattern, text)
    assert count


@pytest.mark.parametrize(
    "pattern", ["(?=a)", "(?!a)b", "(?<=a)b", r"(a)\1", r"\bword\b", "a^b", "(", "a)", "[a", "a" * 5000]
)
def test_what_has_no_expression(pattern: str) -> None:
    with pytest.raises(PatternError):
        plain_pattern(pattern)
