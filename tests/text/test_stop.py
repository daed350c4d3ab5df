"""Stop strings end a text at the same place, however the text is split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxillama.errors import InvalidParameterError
from oxillama.text import StopMatcher

letters = st.text("ab", max_size=30)
stops = st.lists(st.text("ab", min_size=1, max_size=5), max_size=4)


def by_definition(text: str, stops: list[str]) -> tuple[str, bool]:
    """The stop string that ends first, or the longest of these, found by brute force."""
    for end in range(1, len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            return text[: end - max(map(len, ending))], True
    return text, False


def stream(pieces: list[str], stops: list[str]) -> tuple[str, bool]:
    matcher, released, matched = StopMatcher(stops), "", False
    for piece in pieces:
        text, matched = matcher.push(piece)
        released += text
    return (released, True) if matched else (released + matcher.flush(), False)


@given(st.lists(letters, max_size=8), stops)
def test_any_split_gives_the_same_as_the_whole_text(pieces: list[str], stops: list[str]) -> None:
    assert stream(pieces, stops) == by_definition("".join(pieces), stops)


@given(letters, stops)
def test_only_text_that_may_begin_a_stop_string_is_held_back(text: str, stops: list[str]) -> None:
    released, matched = StopMatcher(stops).push(text)
    held = "" if matched else text[len(released) :]
    assert all(not held or any(stop.startswith(held) for stop in stops) for _ in [0])
    assert matched or text.startswith(released)


def test_nothing_is_released_after_a_match() -> None:
    matcher = StopMatcher(["END"])
    assert matcher.push("one EN") == ("one ", False)
    assert matcher.push("D two") == ("", True)
    assert matcher.push("three") == ("", True)


def test_a_false_start_of_a_stop_string_is_released_whole() -> None:
    matcher = StopMatcher(["\n\nUser:"])
    assert matcher.push("a\n\nUse") == ("a", False)
    assert matcher.push("ful") == ("\n\nUseful", False)
    assert matcher.flush() == ""


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="stop"):
        StopMatcher(["a", ""])


def test_the_text_of_a_control_token_is_found_but_never_released() -> None:
    def said(*stops: str) -> tuple[str, bool]:
        matcher = StopMatcher(stops)
        pieces = [matcher.push("Hel"), matcher.push("lo<"), matcher.push("<|turn|>", hidden=True), matcher.push("end")]
        return "".join(text for text, _ in pieces), pieces[-1][1]

    assert said("<|turn|>") == ("Hello<", True)
    assert said("o<<|turn|>en") == ("Hell", True)
    assert said("<|turn|>endless") == ("Hello<", False)
    assert said("nothing") == ("Hello<end", False)


@given(st.lists(st.tuples(letters, st.booleans()), max_size=8), stops)
def test_hidden_text_is_searched_as_if_it_were_shown(pieces: list[tuple[str, bool]], stops: list[str]) -> None:
    matcher, released, matched = StopMatcher(stops), "", False
    for piece, hidden in pieces:
        text, matched = matcher.push(piece, hidden=hidden)
        released += text
    released += "" if matched else matcher.flush()
    shown, found = by_definition("".join(piece for piece, _ in pieces), stops)
    assert matched == found
    mask = "".join("h" * len(piece) if hidden else "s" * len(piece) for piece, hidden in pieces)
    assert released == "".join(c for c, m in zip(shown, mask, strict=False) if m == "s")
