"""The text of a reply as it comes, against the whole text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxillama.chat.reply.source import Source

ACTIONS = st.lists(st.tuples(st.sampled_from(["feed", "read", "unread", "mark", "rewind"]), st.integers(1, 6)))


@given(ACTIONS, st.booleans())
def test_reading_going_back_and_marks_agree_with_positions_in_the_whole_text(
    actions: list[tuple[str, int]], keeps: bool
) -> None:
    source, text, at, mark = Source(), "", 0, None
    source.keeps = keeps
    first: int | None = None
    for action, count in actions:
        if action == "feed":
            new = "".join(chr(97 + (len(text) + n) % 26) for n in range(count))
            source.feed(new)
            text += new
        elif action == "read":
            for _ in range(min(count, len(text) - at)):
                with pytest.raises(StopIteration) as stop:
                    next(source.next())
                assert stop.value.value == text[at]
                at += 1
        elif action == "unread":
            back = min(count, at - (mark or 0))
            source.unread(text[at - back : at])
            at -= back
        elif action == "mark":
            source.mark()
            mark = at
            first = mark if first is None else first
        elif mark is not None:
            at = min(mark + count, at)
            source.rewind(at - mark)
            mark = at if keeps else None
        if mark is not None:
            assert source.since_mark() == text[mark:at]
        if keeps and mark is not None and first is not None:
            assert source.before_mark() == text[first:mark]


def test_going_back_costs_the_same_however_much_is_kept() -> None:
    source = Source()
    source.mark()
    for _ in range(20_000):
        source.feed("ab")
        for _ in range(2):
            for _ in source.next():
                raise AssertionError
        source.feed("c")
        source.unread("ab")
        for _ in range(3):
            for _ in source.next():
                raise AssertionError
    assert source.since_mark() == "abc" * 20_000
