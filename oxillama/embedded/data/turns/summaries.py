"""Short texts and their summaries of one sentence."""

from __future__ import annotations

import random

from oxillama.embedded.data.text.spintax import expand
from oxillama.embedded.data.text.words import CITIES, JOBS, NAMES, with_article

REQUESTS = ("{Summarise|Summarize|Sum up} {this|this text|the text|the following|this note}{| in one sentence| briefly| for me}: ",
            "{What is the gist of|Give me a summary of|Shorten} {this|this text|the following}: ",
            "{In one sentence, what does this say|TL;DR|Make this shorter|A short summary, please}: ")  # fmt: skip
EVENTS = (
    ("the meeting", ("the room was too small", "half of the guests were ill", "nobody had the key"), ("moved to", "put off until")),
    ("the concert", ("the singer had lost her voice", "it was raining", "the hall had no power"), ("put off until", "moved to")),
    ("the market", ("the square was flooded", "the road was closed", "a storm was coming"), ("moved to", "put off until")),
    ("the match", ("there was too much snow", "the lights had failed", "a team was late"), ("put off until", "moved to")),
    ("the lesson", ("the teacher was ill", "the school was closed", "the heating had failed"), ("put off until", "moved to")),
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _event(rng: random.Random) -> tuple[str, str]:
    what, reasons, moves = rng.choice(EVENTS)
    reason, move, day, city = rng.choice(reasons), rng.choice(moves), rng.choice(DAYS), rng.choice(CITIES)
    text = rng.choice((
        f"Everybody in {city} was looking forward to {what}. But {reason}, and so it was {move} {day}. People were sad, but they understood.",
        f"It was a strange morning in {city}. First came the news that {reason}. Then {what} was {move} {day}, and all went home again.",
    ))  # fmt: skip
    return text, f"In {city}, {what} was {move} {day} because {reason}."


def _purchase(rng: random.Random) -> tuple[str, str]:
    name, job, n = rng.choice(NAMES), rng.choice(JOBS), rng.randint(2, 9)
    thing = rng.choice(("bicycle", "boat", "piano", "camera", "house", "horse", "telescope", "violin"))
    text = rng.choice((
        f"{name} is {with_article(job)} and does not earn much. For {n} years {name} put a coin in a jar each evening. Last week the jar was full, and {name} went and bought a {thing}.",
        f"Since childhood {name}, {with_article(job)}, had wanted a {thing}. It took {n} years of saving, many cold evenings and no holidays, but now the {thing} is there.",
    ))  # fmt: skip
    return text, f"{name}, {with_article(job)}, saved for {n} years and bought a {thing}."


def _lost(rng: random.Random) -> tuple[str, str]:
    a, b = rng.sample(NAMES, 2)
    thing, place = rng.choice(("ring", "key", "hat", "cat", "letter", "phone")), rng.choice(("garden", "station", "library", "kitchen", "park", "attic"))
    text = rng.choice((
        f"{a} had lost a {thing} and looked for it everywhere, under the bed and behind the door. In the end it was {b} who found it, in the {place}, where nobody had looked.",
        f"There was a great search at {a}'s house, because the {thing} was gone. Hours later {b} came back from the {place} and had it in a pocket.",
    ))  # fmt: skip
    return text, f"{a} lost a {thing}, and {b} found it in the {place}."


def sample(rng: random.Random) -> tuple[str, str]:
    """A text to summarise, and the summary."""
    text, summary = rng.choice((_event, _purchase, _lost))(rng)
    return expand(rng.choice(REQUESTS), rng) + text, summary
