"""The end of a generation, its text, and its log-probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oxillama.engine.api.types import TokenEvent
from oxillama.text import PromptText
from tests.engine.harness import Bench, request
from tests.support.fake_engine import BOS, EOS, FakeTokenizer
from tests.support.fake_runner import FakeRunner, parrot

PROMPT = (1, 40, 41)


def say(reply: str | list[int], **sampling: Any) -> tuple[str, list[TokenEvent]]:
    """The events of a model that generates `reply` and then ends."""
    ids = [*FakeTokenizer().encode(reply, False), EOS] if isinstance(reply, str) else reply
    bench = Bench(FakeRunner(next_token=parrot(ids, len(PROMPT))))
    (g,) = bench.run(request(PROMPT, **sampling))
    assert not bench.errors
    return bench.text(g), bench.events[g]


def ends(events: list[TokenEvent]) -> list[str]:
    return [e.finish_reason for e in events if e.finish_reason]


def test_the_end_token_ends_with_stop_and_has_no_text() -> None:
    text, events = say("hello", logprobs=0)
    assert (text, ends(events)) == ("hello", ["stop"])
    assert events[-1] == TokenEvent(EOS, "", (), "stop")


def test_max_tokens_ends_with_length() -> None:
    text, events = say("hello", max_tokens=3)
    assert (text, ends(events), len(events)) == ("hel", ["length"], 3)


def test_the_context_ends_with_length() -> None:
    text, events = say([70], max_tokens=1000)
    assert len(text) == 64 - len(PROMPT)
    assert ends(events) == ["length"]


def test_no_tokens_wanted_is_one_event_without_one() -> None:
    assert say("hello", max_tokens=0)[1] == [TokenEvent(None, "", (), "length")]


def test_a_stop_token_ends_without_its_text() -> None:
    stop = FakeTokenizer().encode("l", False)[0]
    text, events = say("hello", stop_token_ids=frozenset({stop}))
    assert (text, ends(events)) == ("he", ["stop"])


def test_ignoring_the_end_token_continues_to_max_tokens() -> None:
    text, events = say("ab", ignore_eos=True, max_tokens=8)
    assert (text, len(events), ends(events)) == ("ababab"[:6], 8, ["length"])


def test_fewer_than_min_tokens_do_not_end() -> None:
    text, events = say("ab", min_tokens=5)
    assert len(events) >= 6
    assert all(e.token_id != EOS for e in events[:5])
    assert text.startswith("ab")


def test_a_stop_string_across_tokens_is_never_shown_in_part() -> None:
    text, events = say("one STOP two", stop=("STOP",))
    assert (text, ends(events)) == ("one ", ["stop"])
    assert "S" not in "".join(e.text for e in events)


def test_the_beginning_of_a_stop_string_is_shown_at_the_end() -> None:
    assert say("one STO", stop=("STOP",))[0] == "one STO"
    assert say("one STOP", stop=("STOP",), max_tokens=7)[0] == "one STO"


def test_stop_strings_are_ignored_before_min_tokens() -> None:
    assert say("a.b.c", stop=(".",), min_tokens=3)[0] == "a.b"


def test_a_character_is_emitted_whole_or_replaced() -> None:
    text, events = say("aé€")
    assert text == "aé€"
    assert [e.text for e in events] == ["a", "", "é", "", "", "€", ""]
    assert say("a€", max_tokens=3)[0] == "a\N{REPLACEMENT CHARACTER}"


class SpacedTokenizer(FakeTokenizer):
    """A tokenizer that begins every text with a space, as SentencePiece does."""

    def encode(self, text: str | PromptText, add_special: bool = True, parse_special: bool = False) -> list[int]:
        assert isinstance(text, str)
        return super().encode(f" {text}" if text else "", add_special, parse_special)


@pytest.mark.parametrize(
    ("prompt", "tokenizer", "said", "heard"),
    [
        ((BOS,), SpacedTokenizer(), " Once", "Once"),
        ((BOS,), SpacedTokenizer(), "  Once", " Once"),
        ((BOS,), SpacedTokenizer(), "Once", "Once"),
        ((BOS, 100), SpacedTokenizer(), " Once", " Once"),
        ((BOS,), FakeTokenizer(), " Once", " Once"),
    ],
    ids=["new text", "second space", "no space", "going on", "no space vocabulary"],
)
def test_only_the_vocabularys_own_space_before_a_text_is_dropped(
    prompt: tuple[int, ...], tokenizer: FakeTokenizer, said: str, heard: str
) -> None:
    ids = [*FakeTokenizer().encode(said, False), EOS]
    bench = Bench(FakeRunner(next_token=parrot(ids, len(prompt))), tokenizer=tokenizer)
    (g,) = bench.run(request(prompt, logprobs=0))
    assert bench.text(g) == heard
    assert len([lp for e in bench.events[g] for lp in e.logprobs]) == len(said)


def test_logprobs_come_with_the_text_of_their_tokens() -> None:
    _, events = say("aéb", logprobs=3)
    assert [[bytes(lp.piece) for lp in e.logprobs] for e in events] == [[b"a"], [], [b"\xc3", b"\xa9"], [b"b"], []]
    assert all(len(lp.top) == 3 for e in events for lp in e.logprobs)


def test_logprobs_of_a_stop_string_are_not_shown() -> None:
    _, events = say("ab##cd", stop=("##",), logprobs=0)
    assert [lp.piece for e in events for lp in e.logprobs] == [b"a", b"b"]


def test_held_back_logprobs_come_with_their_text_in_the_end() -> None:
    _, events = say("ab#", stop=("##",), logprobs=0)
    assert [lp.piece for e in events for lp in e.logprobs] == [b"a", b"b", b"#"]
    assert [lp.piece for lp in events[-1].logprobs] == [b"#"]


def test_logprobs_are_those_of_the_model_whatever_the_sampling() -> None:
    plain, shaped = (
        say("hello", logprobs=2, max_tokens=3, **extra)[1]
        for extra in ({}, {"temperature": 2.0, "top_k": 1, "presence_penalty": 1.5})
    )
    assert [e.logprobs for e in plain] == [e.logprobs for e in shaped]
    row = -np.abs(np.arange(259) - (3 + ord("h"))) / 8.0
    row[3 + ord("h")] = 3.0
    assert plain[0].logprobs[0].logprob == pytest.approx(3.0 - np.log(np.exp(row).sum()), abs=1e-6)


def test_prompt_logprobs_cover_the_prompt_across_steps() -> None:
    prompt = tuple(range(3, 43))
    bench = Bench(FakeRunner(n_batch=7, next_token=lambda tokens, n: (tokens[-1] + 1) % n))
    (g,) = bench.run(request(prompt, prompt_logprobs=1, max_tokens=2))
    assert g.prompt_logprobs[0] is None
    scored = [lp for lp in g.prompt_logprobs[1:] if lp is not None]
    assert [lp.token_id for lp in scored] == list(prompt[1:])
    assert all(lp.top[0][0] == lp.token_id for lp in scored)
    assert bench.ids(g) == [43, 44]


def test_prompt_logprobs_alone_need_no_new_token() -> None:
    bench = Bench()
    (g,) = bench.run(request(prompt_logprobs=0, max_tokens=0))
    assert len(g.prompt_logprobs) == 3
    assert bench.events[g] == [TokenEvent(None, "", (), "length")]


def test_the_same_seed_repeats_and_no_seed_does_not() -> None:
    def draw(**sampling: Any) -> list[int | None]:
        bench = Bench()
        (g,) = bench.run(request(max_tokens=30, temperature=3.0, **sampling))
        return bench.ids(g)

    assert draw(seed=1) == draw(seed=1) != draw(seed=2)
    assert draw() != draw()


def test_penalties_see_the_prompt() -> None:
    text, _ = say([43, 60], max_tokens=1, stop=(), logit_bias={})
    assert text == "("
    bench = Bench(FakeRunner(next_token=parrot([41], 3)))
    (g,) = bench.run(request((1, 41, 41), max_tokens=1, frequency_penalty=2.0))
    assert bench.ids(g) != [41]
