"""Repeating what was said, and looking it up: the plainest conversations that only copying from the prompt answers."""

from __future__ import annotations

import json
import random
from typing import Any

from oxillama.embedded.data.calls import values
from oxillama.embedded.data.calls.lexicon import NOUNS, invented, word
from oxillama.embedded.data.calls.tasks import Conversation, Message, said, user
from oxillama.embedded.data.text.spintax import expand

DRAWS = (values.name, values.name, values.thing, values.words, values.code, values.integer, values.decimal, values.email, values.path, values.date, values.clock)


def _text(rng: random.Random) -> str:
    return " ".join(str(rng.choice(DRAWS)(rng).json) for _ in range(rng.randint(1, 7)))


def repeated(rng: random.Random) -> Conversation:
    """A text, again."""
    text = _text(rng)
    asked = expand("{Repeat|Repeat after me|Say|Say again|Write|Copy|Echo|Type} {this|the following|exactly this|}: @|{Repeat|Say|Write|Copy} \"@\"{.|}|{Repeat|Say} '@'", rng)
    return [user(asked.replace(" :", ":").replace("@", text)), said(text)], None


def listed(rng: random.Random) -> Conversation:
    """Some values as a JSON list."""
    draw = rng.choice(DRAWS)
    items = [draw(rng).json for _ in range(rng.randint(2, 7))]
    texts = [str(item) for item in items]
    shown = rng.choice((", ".join(texts), "; ".join(texts), ", ".join(texts[:-1]) + " and " + texts[-1], "\n".join(texts)))
    asked = expand("{JSON list of|As a JSON list|A JSON array, please|Make a JSON list|Put in a JSON array}: ", rng) + shown
    return [user(asked), said(json.dumps(items, ensure_ascii=False))], None


def looked_up(rng: random.Random) -> Conversation:
    """Some values by name, then questions for them."""
    entries: dict[str, Any] = {}
    for _ in range(rng.randint(2, 7)):
        key = rng.choice((word(rng), rng.choice(NOUNS), f"{word(rng)}_{word(rng)}", invented(rng).capitalize()))
        entries[key] = rng.choice(DRAWS)(rng).json
    shown = rng.choice((
        "\n".join(f"{key}: {value}" for key, value in entries.items()), ", ".join(f"{key} is {value}" for key, value in entries.items()) + ".",
        json.dumps(entries, ensure_ascii=False), " ".join(f"The {key.replace('_', ' ')} is {value}." for key, value in entries.items()),
    ))  # fmt: skip
    messages: list[Message] = []
    for i, key in enumerate(rng.sample(list(entries), min(len(entries), rng.randint(2, 5)))):
        name = key.replace("_", " ") if shown.startswith("The ") else key
        asked = expand(rng.choice(("What is {|the }@?", "@?", "And @?", "{Tell me|Give me} {|the }@.")), rng).replace("@", name)
        messages += [user(shown + rng.choice(("\n", " ", "\n\n")) + asked if i == 0 else asked), said(str(entries[key]))]
    return messages, None


def sample(rng: random.Random) -> Conversation:
    messages, functions = rng.choice((repeated, listed, looked_up, looked_up))(rng)
    return [{**messages[0], "copies": True}, *messages[1:]], functions
