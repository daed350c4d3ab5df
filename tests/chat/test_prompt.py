"""Which messages a prompt keeps if not all of them fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxillama.chat import Message, chat_prompt, fitted_prompt
from oxillama.chat.prompt import without_middle
from tests.support.fake_engine import BOS, FakeEngine

TURNS = [Message(role="user", content=f"message {n:02}") for n in range(40)]
SYSTEM = Message(role="system", content="Be kind.")


@pytest.mark.parametrize("head", [[], [SYSTEM]])
@pytest.mark.parametrize("most", [100, 200, 333, 900])
async def test_no_more_messages_are_left_out_than_necessary(head: list[Message], most: int) -> None:
    engine = FakeEngine(n_ctx=10_000)
    prompt = await fitted_prompt(engine, head + TURNS, most)
    text = engine.tokenizer.decode(prompt.ids).decode()
    kept = [n for n in range(40) if f"message {n:02}" in text]
    assert len(prompt.ids) <= most
    assert kept == [0, *range(1 + prompt.dropped, 40)]
    assert ("Be kind." in text) == bool(head)
    more = await chat_prompt(engine, [*head, TURNS[0], *TURNS[prompt.dropped :]])
    assert len(more) > most


async def test_the_newest_message_stays_though_it_does_not_fit() -> None:
    engine = FakeEngine()
    prompt = await fitted_prompt(engine, [SYSTEM, *TURNS], 5)
    assert prompt.dropped == 39
    assert engine.tokenizer.decode(prompt.ids) == b"<system>Be kind.</system><user>message 39</user><assistant>"


async def test_without_messages_the_prompt_is_that_of_an_empty_text() -> None:
    assert await chat_prompt(FakeEngine(), []) == (BOS,)
    assert (await fitted_prompt(FakeEngine(), [], 10)).ids == (BOS,)


@given(st.integers(0, 9), st.integers(0, 9))
def test_the_first_and_the_newest_message_are_left_out_last(n: int, dropped: int) -> None:
    kept = without_middle(TURNS[:n], dropped)
    assert len(kept) == min(n, max(n - dropped, 1))
    assert kept[-1:] == TURNS[n - 1 : n] or not n
    assert kept[:1] == TURNS[:1] or dropped >= n - 1
