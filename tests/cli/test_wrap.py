"""Word wrapping at a terminal's edge."""

from __future__ import annotations

import random

import pytest

from oxillama.cli.shared.terminal import wrap
from oxillama.cli.shared.terminal.wrap import Wrapper, columns


@pytest.fixture(autouse=True)
def ten_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrap, "terminal_width", lambda fd=1: 10)


def wrapped(text: str, *, pieces: int = 1) -> str:
    wrapper = Wrapper()
    parts = [text[at : at + pieces] for at in range(0, len(text), pieces)]
    return "".join(map(wrapper.feed, parts)) + wrapper.finish()


@pytest.mark.parametrize("pieces", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one two three four", "one two\nthree four"),
        ("0123456789 abc", "0123456789\nabc"),
        ("0123456 89 x", "0123456 89\nx"),
        ("a\n\n  b c\n", "a\n\n  b c\n"),
        ("ab 0123456789012345 cd", "ab\n0123456789012345 cd"),
        ("日本語日本語日本", "日本語日本\n語日本"),
        ("ab日本語日本 c", "ab日本語日\n本 c"),
        ("a\u0301bcdefghij x", "a\u0301bcdefghij\nx"),
        ("see ```\n0123456789 0123\n", "see ```\n0123456789\n0123\n"),
        ("```py\nif x: return 0123456789\n```\none two three", "```py\nif x: return 0123456789\n```\none two\nthree"),
        ("trailing  ", "trailing"),
    ],
    ids=["words", "full line", "just fits", "own lines", "long", "cjk", "mixed", "accent", "inline", "code", "end"],
)
def test_lines_end_between_words(text: str, shown: str, pieces: int) -> None:
    assert wrapped(text, pieces=pieces) == shown


def test_no_line_is_too_long_and_no_character_is_lost() -> None:
    rng = random.Random(1)
    for _ in range(300):
        words = ["".join(rng.choices("abcé日", k=rng.randint(1, 10))) for _ in range(rng.randint(1, 12))]
        words = [word for word in words if columns(word) <= 9] or ["a"]
        text = " ".join(words)

        shown = wrapped(text, pieces=rng.randint(1, 5))

        assert all(columns(line) <= 10 for line in shown.split("\n")), (text, shown)
        assert "".join(shown.split()) == "".join(text.split()), (text, shown)


def test_a_word_is_shown_as_soon_as_it_is_whole() -> None:
    wrapper = Wrapper()

    assert wrapper.feed("one tw") == "one"
    assert wrapper.feed("o ") == " two"
    assert wrapper.finish() == ""
