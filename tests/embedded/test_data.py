"""The demonstration model's training data: reproducible, consistent, and separate from the held-out questions."""

from __future__ import annotations

import itertools
import json
import random
import re
from typing import Any

import pytest

from oxillama.embedded.data.conversations import normal, sample, stream
from oxillama.embedded.data.facts import FACTS, Fact
from oxillama.embedded.data.held_out.first import DOCUMENTED, OFF_TOPIC, SMALL_TALK, STORIES
from oxillama.embedded.data.held_out.second import SECOND, SECOND_OFF_TOPIC
from oxillama.embedded.data.text import noise, spintax
from oxillama.embedded.data.turns import naming, numbers, offtopic, questions, smalltalk, stories, summaries, tools
from oxillama.embedded.data.turns.offtopic_wordings import QUESTIONS as OFF_TOPIC_WRITTEN
from oxillama.embedded.data.wordings import WORDINGS

TURNS = (naming, numbers, offtopic, questions, smalltalk, stories, summaries)


def test_the_same_seed_gives_the_same_conversations() -> None:
    assert list(stream(1, 3, 200)) == list(stream(1, 3, 200))


def test_another_seed_or_chunk_gives_others() -> None:
    first = list(stream(1, 0, 50))
    assert first != list(stream(2, 0, 50))
    assert first != list(stream(1, 1, 50))


def test_no_held_out_question_is_ever_trained_on() -> None:
    held_out = {normal(text) for fact in FACTS for text in (fact.test, fact.dev)}
    held_out |= {normal(text) for _, text in (*DOCUMENTED, *SECOND)}
    held_out |= {normal(text) for text in (*OFF_TOPIC, *SECOND_OFF_TOPIC)}
    held_out |= {normal(text) for text, _ in (*SMALL_TALK, *STORIES)}
    trained = {normal(message["content"]) for messages, _ in stream(1, 7, 5000) for message in messages}
    assert not trained & held_out


def test_every_fact_has_hundreds_of_questions() -> None:
    rng = random.Random(5)
    for fact in FACTS:
        ways = {normal(questions.question(fact, rng)) for _ in range(400)}
        assert len(ways) > 100, f"{fact.key} has only {len(ways)} paraphrases"


def test_every_fact_has_dozens_of_wordings_by_hand_and_no_two_the_same() -> None:
    assert set(WORDINGS) == {fact.key for fact in FACTS}
    for key, texts in WORDINGS.items():
        assert len(texts) >= 45, f"{key} has only {len(texts)} wordings"
        assert len({normal(text) for text in texts}) == len(texts), f"{key} has a wording twice"


def test_no_wording_belongs_to_two_facts() -> None:
    keys: dict[str, str] = {}
    for key, texts in WORDINGS.items():
        for text in texts:
            assert keys.setdefault(normal(text), key) == key, f"{text!r} is of {keys[normal(text)]} and of {key}"


def test_written_questions_off_topic_are_many_and_no_two_the_same() -> None:
    written = [normal(text) for text in OFF_TOPIC_WRITTEN]
    assert len(set(written)) == len(written) > 250
    assert not set(written) & {normal(text) for texts in WORDINGS.values() for text in texts}


def test_noise_leaves_names_of_options_commands_and_paths_alone() -> None:
    rng = random.Random(11)
    kept = ("--stop", "--model", "/v1/models", "file.gguf", "max_tokens", "OXILLAMA_PORT", "create_and_poll")
    text = "how do I use " + " and ".join(kept) + " to start a server quickly"
    others = {noise.reworded(text, rng) for _ in range(300)}
    assert len(others) > 100
    assert all(name in other for other in others for name in kept)


def test_a_question_is_reduced_to_its_key_words() -> None:
    assert noise.keywords("How do I set the port of the server?") == "set port server"
    assert noise.keywords("set the port") == "set the port"


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.key)
def test_the_answer_that_is_taught_contains_the_fact(fact: Fact) -> None:
    assert fact.met_by(fact.answer)
    assert not fact.met_by(offtopic.ANSWER) or fact.key in ("serve", "no_model")


def test_no_two_facts_share_a_key() -> None:
    assert len({fact.key for fact in FACTS}) == len(FACTS) >= 60


@pytest.mark.parametrize("topic", TURNS, ids=lambda topic: topic.__name__.rpartition(".")[2])
def test_no_mark_of_a_template_is_left_in_a_text(topic: Any) -> None:
    rng = random.Random(2)
    for _ in range(500):
        for text in topic.sample(rng):
            assert text == text.strip()
            assert text
            if topic is not questions:  # its answers may show JSON
                assert not re.search(r"[{}@]", text), text
                assert not re.search(r"COUNTRY|CITY|PERSON|SUBJECT|THING|ANIMAL|LANGUAGE|FOOD|PLANT|\bOP\b", text), text


def test_sums_are_correct() -> None:
    rng = random.Random(3)
    for _ in range(500):
        a, op, b, _is, value = numbers.sum_of_two(rng)[1].rstrip(".").split()
        assert {"plus": int(a) + int(b), "minus": int(a) - int(b), "times": int(a) * int(b)}[op] == int(value)


def test_counting_goes_in_steps_of_one_and_matches_the_question() -> None:
    rng = random.Random(4)
    for _ in range(300):
        asked, answer = numbers.counting(rng)
        values = [int(n) for n in answer.rstrip(".").split(", ")]
        steps = {b - a for a, b in itertools.pairwise(values)}
        assert steps in ({1}, {-1})
        assert set(map(int, re.findall(r"\d+", asked))) <= {values[0], values[-1]}


def test_a_story_is_about_the_requested_hero() -> None:
    rng = random.Random(6)
    asked_for = 0
    for _ in range(300):
        asked, story = stories.sample(rng)
        heroes = [hero for hero in stories.HEROES if re.search(rf"\b{hero}\b", asked)]
        asked_for += bool(heroes)
        assert all(f" {hero} called " in story for hero in heroes)
        assert story.count(".") >= 4
    assert asked_for > 100


def test_a_function_call_names_a_given_function() -> None:
    rng = random.Random(8)
    for _ in range(200):
        messages, schemas = tools.sample(rng)
        text = messages[1]["content"]
        if text.startswith("<tool_call>"):
            call = json.loads(text.removeprefix("<tool_call>").removesuffix("</tool_call>"))
            schema = next(s["function"] for s in schemas if s["function"]["name"] == call["name"])
            assert set(call["arguments"]) == set(schema["parameters"]["required"])


def test_conversations_have_one_or_more_turns_that_end_with_the_assistant() -> None:
    rng = random.Random(9)
    for _ in range(300):
        messages, _ = sample(rng)
        assert messages[-1]["role"] == "assistant"
        assert [m["role"] for m in messages[1:]].count("system") == 0


def test_alternatives_nest_and_may_be_empty() -> None:
    seen = {spintax.expand("a {b|c{d|}}|e", random.Random(i)) for i in range(100)}
    assert seen == {"a b", "a cd", "a c", "e"}


@pytest.mark.parametrize("text", ["{a", "a}", "{a|{b}"])
def test_an_unmatched_brace_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="brace"):
        spintax.expand(text, random.Random(1))
