"""The reader of replies: stop strings, the budget of reasoning, the first call, and whose text a token is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxillama.chat.reply.events import Arguments, CallBegan, CallEnded, Content, Ended, Event, Reasoning
from oxillama.chat.reply.message import Reply, ReplyBuilder
from oxillama.chat.reply.reader import ReplyReader
from tests.support.fake_engine import FakeTokenizer

EOS = 2


class Marks:
    """A parser whose marks are single characters: {} around reasoning, [] around a call's arguments, * for nothing."""

    def __init__(self, thinking: bool = False) -> None:
        self.thinking = thinking
        self._calls = 0
        self._calling = False

    def push(self, token_id: int, piece: bytes) -> list[Event]:
        events: list[Event] = []
        for char in piece.decode("latin1"):
            if char in "{}":
                self.thinking = char == "{"
            elif char == "[":
                self._calling = True
                events.append(CallBegan(self._calls, f"call_{self._calls}", "f"))
            elif char == "]":
                self._calling = False
                events.append(CallEnded(self._calls))
                self._calls += 1
            elif char != "*":
                said = Arguments(self._calls, char) if self._calling else Content(char)
                events.append(Reasoning(char) if self.thinking else said)
        return events

    def end(self, truncated: bool = False) -> list[Event]:
        return [] if truncated else [Content("")]


def reader(**options: Any) -> ReplyReader:
    return ReplyReader(Marks(), FakeTokenizer(), **options)


def read(text: str, *, truncated: bool = False, **options: Any) -> tuple[Reply, int]:
    """The reply that says `text`, and how many of its tokens were read."""
    one, builder, n = reader(**options), ReplyBuilder(), 0
    due = FakeTokenizer().encode(text, False)
    while due:
        n += 1
        reading = one.push(due.pop(0))
        builder.add(reading.parts)
        if reading.stop:
            break
        due = [*reading.forced, *due]
    builder.add(one.end(truncated))
    return builder.reply("length" if truncated else "stop"), n


def test_a_reply_has_reasoning_content_and_calls() -> None:
    reply, _ = read('{why}because["a"]ok')
    assert reply == Reply(
        content="becauseok",
        reasoning="why",
        tool_calls=reply.tool_calls,
        finish_reason="tool_calls",
        reasoning_tokens=4,
        content_tokens=(5, 6, 7, 8, 9, 10, 11, 17, 18),
    )
    assert [(c.id, c.name) for c in reply.tool_calls] == [("call_0", "f")]


@pytest.mark.parametrize(
    ("said", "truncated", "reason"),
    [("a", False, "stop"), ("a", True, "length"), ("[1]", False, "tool_calls"), ("[1]", True, "length")],
)
def test_the_reason_of_the_end(said: str, truncated: bool, reason: str) -> None:
    assert read(said, truncated=truncated)[0].finish_reason == reason


def test_stop_strings_count_in_content_only() -> None:
    reply, n = read("{a.b}c[d.e]f.g", stop=["."])
    assert (reply.reasoning, reply.content, reply.tool_calls[0].arguments) == ("a.b", "cf", "d.e")
    assert (n, reply.finish_reason) == (13, "tool_calls")


def test_the_beginning_of_a_stop_string_is_released_before_a_call_and_at_the_end() -> None:
    assert read("a--[1]-->", stop=["-->"])[0].content == "a--"
    assert read("a--", stop=["-->"])[0].content == "a--"


def test_a_stop_string_does_not_reach_over_a_call() -> None:
    assert read("a-[1]->b", stop=["-->"])[0].content == "a-->b"


def test_stop_strings_wait_for_min_tokens() -> None:
    assert read("a.b.c", stop=["."], min_tokens=3)[0].content == "a.b"


def test_a_stop_string_may_name_a_control_token() -> None:
    one = reader(stop=["x</s>", "</s>"])
    for char in b"ax":
        one.push(char + 3)
    reading = one.push(EOS)
    assert reading.stop
    builder = ReplyBuilder()
    builder.add(one.end(False))
    assert builder.reply("stop").content == ""


def test_only_the_first_call_if_calls_are_not_parallel() -> None:
    reply, n = read("a[1]b[2]c", parallel=False)
    assert (reply.content, len(reply.tool_calls), n, reply.finish_reason) == ("a", 1, 4, "tool_calls")


def test_white_space_alone_is_nothing_beside_calls() -> None:
    assert read(" \n[1] [2]\n")[0].content == ""
    assert read(" \n[1] x")[0].content == " \n x"
    assert read(" \n ")[0].content == " \n "


def test_what_a_spent_budget_forces_counts_as_reasoning() -> None:
    reply, n = read("{abcdefg", budget=4, closing=tuple(FakeTokenizer().encode("!}", False)))
    assert (reply.reasoning, reply.content, reply.reasoning_tokens) == ("abcd!", "efg", 6)
    assert n == 10


def test_reasoning_that_opens_again_after_its_budget_is_closed_again() -> None:
    reply, _ = read("{ab{cd}e", budget=2, closing=tuple(FakeTokenizer().encode("}", False)))
    assert (reply.reasoning, reply.content) == ("ab", "cde")


def test_no_budget_left_closes_reasoning_at_once() -> None:
    closing = tuple(FakeTokenizer().encode("}", False))
    assert read("{abc", budget=0, closing=closing)[0] == read("{}abc")[0]


def test_a_token_outside_the_vocabulary_says_nothing() -> None:
    one = reader(stop=["x"])
    assert one.push(100_000).parts == ()


def test_tokens_of_a_stop_string_are_none_of_the_contents() -> None:
    assert read("ab.c", stop=["."])[0].content_tokens == (0, 1)
    assert read("ab-c", stop=["-->"])[0].content_tokens == (0, 1, 2, 3)


def test_one_token_may_end_the_reasoning_and_begin_the_content() -> None:
    class Pieces(FakeTokenizer):
        def token_bytes(self, token_id: int) -> bytes:
            return [b"{ab", b"c}de", b"*", b"f[1", b"]"][token_id]

    one, builder = ReplyReader(Marks(), Pieces()), ReplyBuilder()
    for token in range(5):
        builder.add(one.push(token).parts)
    builder.add(one.end(False))
    reply = builder.reply("stop")
    assert (reply.reasoning, reply.content, reply.content_tokens) == ("abc", "def", (1, 2, 3))


ALPHABET = st.text("{}[]* .-ab", max_size=30).filter(lambda s: re.fullmatch(r"[^\[\]]*(\[[^\[\]]*\][^\[\]]*)*", s))


@given(ALPHABET, st.lists(st.sampled_from([".", "-a", "ab."]), max_size=2))
def test_parts_sum_to_the_same_whatever_came_together(text: str, stop: list[str]) -> None:
    """A token per character, and all in one token."""

    class One(FakeTokenizer):
        def token_bytes(self, token_id: int) -> bytes:
            return text.encode()

    apart, _ = read(text, stop=stop)
    one, builder = ReplyReader(Marks(), One(), stop=stop), ReplyBuilder()
    builder.add(one.push(5).parts)
    builder.add(one.end(False))
    whole = builder.reply("stop")
    assert (whole.content, whole.reasoning) == (apart.content, apart.reasoning)
    assert [call.arguments for call in whole.tool_calls] == [call.arguments for call in apart.tool_calls]


def test_the_last_part_is_the_end() -> None:
    one = reader()
    one.push(FakeTokenizer().encode("{", False)[0])
    assert one.end(True)[-1] == Ended(called=False, reasoning_tokens=0)
