"""Results go to their calls, whatever order and ids a client sends."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from oxillama.chat import Message, ToolCall
from oxillama.chat.history.forms import Ids
from oxillama.chat.history.pairing import paired


def calling(*ids: str) -> Message:
    return Message(
        role="assistant",
        tool_calls=tuple(ToolCall(id=one, name=f"f{at}", arguments="{}") for at, one in enumerate(ids)),
    )


def result(call_id: str | None, content: str) -> Message:
    return Message(role="tool", content=content, tool_call_id=call_id)


def shown(messages: list[Message]) -> list[tuple[str | None, str | None, object]]:
    """The name, id and content of each result."""
    return [(m.name, m.tool_call_id, m.content) for m in messages if m.role == "tool"]


def test_results_come_in_the_order_of_the_calls() -> None:
    found = paired([calling("a", "b"), result("b", "2"), result("a", "1")])
    assert shown(found) == [("f0", "a", "1"), ("f1", "b", "2")]


def test_two_calls_of_one_id_get_two_ids_and_their_results_in_order() -> None:
    found = paired([calling("a", "a"), result("a", "1"), result("a", "2"), result("a", "3")])
    assert [call.id for call in found[0].tool_calls] == ["a", "a_2"]
    assert shown(found) == [("f0", "a", "1"), ("f1", "a_2", "2"), ("f1", "a_2", "3")]


def test_an_id_that_is_used_in_every_turn_is_another_one_in_each() -> None:
    found = paired([calling("a"), result("a", "1"), calling("a"), result("a", "2")])
    assert shown(found) == [("f0", "a", "1"), ("f0", "a_2", "2")]


def test_a_result_without_an_id_answers_the_next_call() -> None:
    found = paired([calling("", ""), result(None, "1"), result("", "2")])
    assert shown(found) == [("f0", "call", "1"), ("f1", "call_2", "2")]


def test_a_result_of_an_unknown_call_stays_after_the_others() -> None:
    found = paired([calling("a"), result("z", "?"), result("a", "1"), Message(role="user"), result("y", "!")])
    assert shown(found) == [("f0", "a", "1"), ("", "z", "?"), ("", "y", "!")]


def test_many_calls_and_results_under_one_id_take_linear_time() -> None:
    turns = [calling("a")] * 20_000
    many = [calling(*["a"] * 20_000), *(result("a", str(n)) for n in range(20_000))]
    began = time.process_time()
    assert paired(turns)[-1].tool_calls[0].id == "a_20000"
    assert [m.content for m in paired(many)[1:]] == [str(n) for n in range(20_000)]
    assert time.process_time() - began < 5


FORMS: list[Ids] = ["any", "short", "functions"]
ids = st.sampled_from(["a", "b", "", "functions.f:1"])


@given(
    st.lists(st.tuples(st.lists(ids, max_size=3), st.lists(ids, max_size=4))),
    st.sampled_from(FORMS),
)
def test_no_message_is_lost_and_no_two_calls_share_an_id(turns: list[tuple[list[str], list[str]]], form: Ids) -> None:
    messages = [
        message
        for at, (calls, results) in enumerate(turns)
        for message in (calling(*calls), *(result(one, f"{at} {n}") for n, one in enumerate(results)))
    ]
    found = paired(messages, form)
    assert sorted(str(m.content) for m in found) == sorted(str(m.content) for m in messages)
    given_ids = [call.id for m in found for call in m.tool_calls]
    assert len(set(given_ids)) == len(given_ids) == sum(len(calls) for calls, _ in turns)
    assert paired(messages, form) == found
