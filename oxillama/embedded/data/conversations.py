"""The mixture: single turns put together into conversations, with and without a system message."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from oxillama.embedded.data.calls import documents, echoes, tasks
from oxillama.embedded.data.facts import FACTS
from oxillama.embedded.data.held_out.first import DOCUMENTED, OFF_TOPIC, SMALL_TALK, STORIES
from oxillama.embedded.data.held_out.second import SECOND, SECOND_OFF_TOPIC
from oxillama.embedded.data.text.spintax import expand
from oxillama.embedded.data.turns import naming, numbers, offtopic, questions, smalltalk, stories, summaries, tools

Turn = Callable[[random.Random], tuple[str, str]]
Conversation = tuple[list[dict[str, Any]], list[dict[str, Any]] | None]

# How often each kind of turn comes, in percent.
MIXTURE: tuple[tuple[Turn, int], ...] = (
    (questions.sample, 62),
    (offtopic.sample, 15),
    (smalltalk.sample, 5),
    (numbers.sample, 11),
    (naming.sample, 2),
    (stories.sample, 3),
    (summaries.sample, 2),
)
_KINDS = tuple(kind for kind, _ in MIXTURE)
_WEIGHTS = tuple(weight for _, weight in MIXTURE)
TOOLS_SHARE = 0.26  # conversations with functions, NATURAL_SHARE of them with functions as they are often seen
NATURAL_SHARE = 0.08
DOCUMENTS_SHARE = 0.05  # conversations whose answer is JSON
ECHOES_SHARE = 0.06  # conversations that repeat parts of the prompt
SYSTEM_SHARE = 0.15
SYSTEM = (
    "You are {an |a helpful |a friendly |a kind |an AI |an honest |a polite }assistant.",
    "You are a helpful assistant.",
    "{Be|You are} {brief|short|concise|friendly|polite|precise|a friendly guide|a chatbot}.",
    "{Answer|Reply} {briefly|in one sentence|kindly|truthfully|politely|in English|as well as you can}.",
    "You {answer questions about|know everything about|help users of|support} oxillama.",
    "You {tell stories|like stories|are a story teller|help people}.",
)


def turns(rng: random.Random) -> int:
    """How many questions a conversation has: mostly one, now and then many."""
    return rng.choices((1, 2, 3, rng.randint(4, 12)), (80, 12, 6, 2))[0]


def sample(rng: random.Random) -> Conversation:
    """One conversation and its functions, if there are any."""
    kind = rng.random()
    if kind < TOOLS_SHARE:
        return tools.sample(rng) if rng.random() < NATURAL_SHARE else tasks.sample(rng)
    if kind < TOOLS_SHARE + DOCUMENTS_SHARE:
        return documents.sample(rng)
    if kind < TOOLS_SHARE + DOCUMENTS_SHARE + ECHOES_SHARE:
        return echoes.sample(rng)
    messages: list[dict[str, Any]] = []
    if rng.random() < SYSTEM_SHARE:
        messages.append({"role": "system", "content": expand(rng.choice(SYSTEM), rng)})
    for _ in range(turns(rng)):
        asked, answer = rng.choices(_KINDS, _WEIGHTS)[0](rng)
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return messages, None


def stream(seed: int, chunk: int, size: int) -> Iterator[Conversation]:
    """The conversations of one chunk; the same for the same seed, wherever training was interrupted."""
    rng = random.Random(f"{seed}/{chunk}")
    made = 0
    while made < size:
        conversation = sample(rng)
        if not any(m["role"] == "user" and normal(m["content"]) in _HELD_OUT for m in conversation[0]):
            made += 1
            yield conversation


def normal(text: str) -> str:
    """Letters and digits alone, so that case and marks do not hide that two questions are the same."""
    return "".join(c for c in text.lower() if c.isalnum())


_HELD_OUT = frozenset(
    map(
        normal,
        (
            *(question for fact in FACTS for question in (fact.test, fact.dev)),
            *(asked for _, asked in (*DOCUMENTED, *SECOND)),
            *(asked for asked, _ in (*SMALL_TALK, *STORIES)),
            *OFF_TOPIC,
            *SECOND_OFF_TOPIC,
        ),
    )
)
