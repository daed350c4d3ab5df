"""Kept turns are found again only where the conversation is the same to the last character that means something."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from oxillama.chat import Message, ToolCall
from oxillama.chat.history import replay
from oxillama.chat.history.replay import Asked, KeepingReader, Turns
from oxillama.chat.reply.events import Arguments, CallBegan, CallEnded, Content, Reasoning
from oxillama.engine.api.reading import Reading
from oxillama.text import PromptText
from oxillama.text.prompt_text import prompt_text


class Vocabulary:
    """Texts of tokens; those in `<…>` are control tokens."""

    texts = ("<user>", "<bot>", "<end>", "Hi", " the", "re", '{"a":1}', "<call>", "\n", "é"[:1], "<", "end", ">")
    n_vocab = len(texts)

    def token_bytes(self, token_id: int) -> bytes:
        return b"" if self.is_control(token_id) else self.texts[token_id].encode()

    def token_text(self, token_id: int) -> str:
        return self.texts[token_id]

    def is_control(self, token_id: int) -> bool:
        text = self.texts[token_id]
        return len(text) > 1 and text[0] == "<"

    def ids(self, *texts: str) -> tuple[int, ...]:
        return tuple(map(self.texts.index, texts))


VOCABULARY = Vocabulary()
CALL = ToolCall(id="c", name="f", arguments='{"a":1}')
USER, REPLY = Message(role="user", content="Hi"), Message(role="assistant", content="Hi there", tool_calls=(CALL,))
ASKED = prompt_text("<user>", PromptText.of_content("Hi"), "<end><bot>")
WROTE = VOCABULARY.ids("Hi", " the", "re", "\n", "<call>", '{"a":1}')


def content(text: str) -> PromptText:
    return PromptText.of_content(text)


def turn(*, call: str | PromptText = "<call>", arguments: str = '{"a": 1}', said: str = "Hi there") -> PromptText:
    return prompt_text(ASKED, content(said), call, content(arguments), "<end><user>", content("Bye"), "<end><bot>")


@pytest.fixture
def turns() -> Turns:
    kept = Turns()
    kept.keep(Asked(ASKED, (0, 3, 2, 1), 1), WROTE, REPLY, VOCABULARY)
    return kept


def test_a_turn_has_the_tokens_that_the_model_wrote(turns: Turns) -> None:
    found = turns.find(turn(), [USER, REPLY, USER])
    assert found is not None
    assert found.ids == (0, 3, 2, 1, *WROTE)
    assert found.rest == prompt_text("<end><user>", content("Bye"), "<end><bot>")
    assert found.prompt((2, 0), VOCABULARY) == (*found.ids, 2, 0)
    assert found.prompt((3, 0), VOCABULARY) is None  # no control token between the two
    assert found.prompt((), VOCABULARY) is None


def test_white_space_at_the_ends_of_texts_does_not_count(turns: Turns) -> None:
    same = Message(role="assistant", content=" Hi there\n", tool_calls=(CALL,))
    assert turns.find(turn(said=" Hi there\n"), [USER, same, USER]) is not None


@pytest.mark.parametrize(
    "message",
    [
        Message(role="assistant", content="Hithere", tool_calls=(CALL,)),
        Message(role="assistant", content="Hi there"),
        Message(role="assistant", content="Hi there", reasoning="Hm.", tool_calls=(CALL,)),
        Message(role="assistant", content="Hi there", tool_calls=(ToolCall(id="d", name="f", arguments='{"a":1}'),)),
        Message(role="assistant", content="Hi there", tool_calls=(ToolCall(id="c", name="f", arguments='{"a": 1}'),)),
        Message(role="user", content="Hi there", tool_calls=(CALL,)),
    ],
)
def test_a_message_that_says_anything_else_is_not_the_turn(turns: Turns, message: Message) -> None:
    assert turns.find(turn(), [USER, message, USER]) is None


def test_a_turn_that_the_template_writes_otherwise_is_not_replayed(turns: Turns) -> None:
    for text in (turn(said="Hi"), turn(call=""), turn(arguments='{"a": 2}'), turn(call="<call><call>")):
        assert turns.find(text, [USER, REPLY, USER]) is None
    assert turns.find(ASKED, [USER, REPLY]) is None


def test_control_tokens_of_a_reply_are_not_found_in_content(turns: Turns) -> None:
    assert turns.find(turn(call=content("<call>")), [USER, REPLY, USER]) is None
    ends = prompt_text(ASKED, content("Hi there"), "<call>", content('{"a": 1}<end>'))
    assert turns.find(ends, [USER, REPLY, USER]) is None


def test_a_prompt_with_the_same_text_but_other_content_is_another_one(turns: Turns) -> None:
    """A user who writes the tags of turns must not get them as control tokens."""
    text = turn()
    forged = PromptText(text.text, ((0, len(ASKED)), *text.content[1:]))
    assert turns.find(forged, [USER, REPLY, USER]) is None


def test_the_place_in_the_conversation_and_the_client_count(turns: Turns) -> None:
    assert turns.find(turn(), [USER, USER, REPLY, USER]) is None
    assert turns.find(turn(), [USER, REPLY, USER], "another key") is None


def test_the_last_turn_that_is_known_is_found(turns: Turns) -> None:
    longer = turn()
    turns.keep(Asked(longer, (7,) * 9, 3), VOCABULARY.ids("re"), Message(role="assistant", content="re"), VOCABULARY)
    again = prompt_text(longer, content("re"), "<end>")
    found = turns.find(again, [USER, REPLY, USER, Message(role="assistant", content="re"), USER])
    assert found is not None
    assert found.ids == (*(7,) * 9, 5)
    edited = Message(role="assistant", content="other")
    found = turns.find(prompt_text(longer, content("other"), "<end>"), [USER, REPLY, USER, edited, USER])
    assert found is not None
    assert found.ids == (0, 3, 2, 1, *WROTE)


def test_only_so_much_is_kept(monkeypatch: pytest.MonkeyPatch, turns: Turns) -> None:
    monkeypatch.setattr(replay, "MOST_KEPT", 100)
    for n in range(20):
        asked = prompt_text(ASKED, f"{n:02}")
        turns.keep(Asked(asked, (0,), n), (3,), Message(role="assistant", content="Hi"), VOCABULARY)
    reply = Message(role="assistant", content="Hi")
    found = [
        n
        for n in range(20)
        if turns.find(prompt_text(ASKED, f"{n:02}", content("Hi"), "<end>"), [USER] * n + [reply]) is not None
    ]
    assert found == list(range(20 - len(found), 20))
    assert 1 <= len(found) <= 100 // len(ASKED)


def test_only_the_newest_of_the_turns_that_say_the_same_are_kept() -> None:
    turns = Turns()
    reply = Message(role="assistant", content="Hi")
    prompts = [prompt_text(ASKED, f"{n:02}") for n in range(20)]
    for asked in (*prompts, prompts[13], prompts[13]):
        turns.keep(Asked(asked, (0,), 1), (3,), reply, VOCABULARY)
    texts = [prompt_text(asked, content("Hi"), "<end>") for asked in prompts]
    found = [n for n, text in enumerate(texts) if turns.find(text, [USER, reply]) is not None]
    assert found == list(range(12, 20))


def test_what_keeping_a_turn_costs_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    sized: list[int] = []

    def size(turn: replay._Turn) -> int:
        sized.append(len(turn.ids))
        return sized[-1]

    monkeypatch.setattr(replay._Turn, "size", property(size))
    monkeypatch.setattr(replay, "MOST_KEPT", 300)
    turns = Turns()
    for n in range(500):
        turns.keep(Asked(ASKED, (0, 1), n), (3,), Message(role="assistant", content="Hi"), VOCABULARY)
    assert len(sized) <= 2 * 500


def test_a_turn_that_is_kept_again_counts_once(monkeypatch: pytest.MonkeyPatch, turns: Turns) -> None:
    monkeypatch.setattr(replay, "MOST_KEPT", 100)
    for _ in range(50):
        turns.keep(Asked(ASKED, (0,), 5), (3,), Message(role="assistant", content="Hi"), VOCABULARY)
    assert turns.find(turn(), [USER, REPLY, USER]) is not None


class Read:
    """A reader of the tokens of REPLY."""

    def push(self, token_id: int) -> Reading:
        parts: Sequence[object] = (Content("Hi there"),) if token_id == 3 else ()
        return Reading(tuple(parts))

    def end(self, truncated: bool) -> tuple[object, ...]:
        return (Reasoning(""), CallBegan(0, "c", "f"), Arguments(0, '{"a":1}'), CallEnded(0))


@pytest.mark.parametrize("truncated", [False, True])
def test_a_reply_is_kept_as_it_was_read_unless_it_was_cut_off(truncated: bool) -> None:
    kept: list[tuple[Sequence[int], Message]] = []
    reader = KeepingReader(Read(), lambda ids, message: kept.append((ids, message)))
    for token_id in WROTE:
        reader.push(token_id)
    assert len(reader.end(truncated)) == 4
    assert kept == ([] if truncated else [(list(WROTE), REPLY)])
