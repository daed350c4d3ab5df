"""Questions about a fact: as written by hand, or its phrases inside the ways in which people ask; both made noisy."""

from __future__ import annotations

import random

from oxillama.embedded.data.facts import FACTS, Fact
from oxillama.embedded.data.facts.scenarios import SCENARIOS
from oxillama.embedded.data.text.noise import careless, reworded
from oxillama.embedded.data.text.spintax import expand
from oxillama.embedded.data.wordings import WORDINGS

DO = (
    "How {do|can|could|would|should|does one|may} {I|we|} @?",
    "How do I @?",
    "How do I @?",
    "How can I @?",
    "How to @{|?}",
    "What {is|'s} {the|a|the right|the best|the easiest} way to @?",
    "I {want|need|would like|'d like|wish|have} to @{.|. How?|, how?|. What do I do?|, please help.|. What must I type?|. Which option is it?}",
    "{Can|May|Could} {I|you|one|we} @?",
    "{Is it|Is it even|Would it be} possible to @?",
    "{Show|Tell|Teach} me how to @{.|, please.|}",
    "{Please |}explain how to @.",
    "What {do I|must I|should I|shall I|can I} {type|do|write|set|use|change} to @?",
    "{Which|What} {option|setting|command|flag|parameter|switch} {lets me|do I need to|is there to|is used to|allows me to|would I use to} @?",
    "{Help me|I am trying to|I'm trying to|My goal is to|We have to|We want to|I can't find how to} @{.|}",
    "{Is there|Do you have|Does oxillama have} {a way|an option|a setting|a command|some way|any way} to @?",
    "@{|?}",
    "{Any idea|Do you know|Could you tell me} how to @?",
    "In oxillama, how do I @?",
    "Where {do|can|could} I @?",
    "What if I {want|need|have} to @?",
)
ABOUT = (
    "What {is|are|'s} @?",
    "What does @ {do|mean}?",
    "{Explain|Describe} @{.|, please.|}",
    "Tell me {about|something about|more about} @{.|}",
    "{What|How} about @?",
    "@{|?}",
    "I have a question about @.",
    "What {do you know|can you tell me|should I know} about @?",
    "{Please |Can you |Could you }{explain|tell me about|describe} @{.|?}",
    "I {do not|don't} understand @.",
    "How does @ work?",
    "{Information|Help|Details} {about|on|with} @{|, please}",
    "What is @ {for|good for}?",
    "{Where|How} {is|are} @ {set|configured|explained|documented}?",
)
WORDED = 0.55  # the share that is drawn from the wordings


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def tidy(text: str) -> str:
    text = " ".join(text.replace(" ?", "?").split())
    return text.replace(" 's ", "'s ").replace(" 'd ", "'d ")


def framed(fact: Fact, rng: random.Random) -> str:
    """One of its phrases in a frame, or one of its scenarios."""
    kinds = [(fact.do, DO)] * 3 * bool(fact.do) + [(fact.about, ABOUT)] * 2 * bool(fact.about) + [(fact.ask, ("@",))] * 2
    kinds += [(SCENARIOS.get(fact.key, ()), ("@",))] * 3
    phrases, frames = rng.choice([kind for kind in kinds if kind[0]])
    return expand(rng.choice(frames), rng).replace("@", expand(rng.choice(phrases), rng))


def question(fact: Fact, rng: random.Random) -> str:
    """One way of asking for it."""
    worded = rng.random() < WORDED
    text = tidy(expand(rng.choice(WORDINGS[fact.key]), rng) if worded else framed(fact, rng))
    text = reworded(text, rng)
    if not worded or rng.random() < 0.3:
        text = capital(text)
    text = careless(text, rng)
    return text.upper() if rng.random() < 0.01 else text


def sample(rng: random.Random) -> tuple[str, str]:
    """A question and its answer."""
    fact = rng.choice(FACTS)
    return question(fact, rng), fact.answer
