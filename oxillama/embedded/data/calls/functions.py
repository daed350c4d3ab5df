"""Made-up functions and requests for them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from oxillama.embedded.data.calls import fields
from oxillama.embedded.data.calls.fields import Field
from oxillama.embedded.data.calls.lexicon import ACTS, ADJECTIVES, ASKS, NOUNS, invented, phrase, plural, proper, word
from oxillama.embedded.data.text.noise import mistyped
from oxillama.embedded.data.text.spintax import expand

Schema = dict[str, Any]


@dataclass(slots=True)
class Function:
    """A function and one request for it. asks: whether it tells something rather than changes something."""

    schema: Schema
    name: str
    arguments: dict[str, Any]
    asked: str  # without a capital and a mark at its end
    subject: str  # what it is about, such as "the price of Malta"
    asks: bool


LOOSE_SHARE = 0.15
BEFORE = ("please", "hi,", "hello,", "hey,", "ok,", "can you", "could you", "would you", "I need you to", "I want you to", "please", "go ahead and", "I'd like you to",
          "next,", "now", "quickly", "help me", "could you please", "let's", "time to", "I want to", "I would like to", "we need to", "I have to", "")  # fmt: skip
AFTER = (", please", ", thanks", " now", " for me", " please", " thank you", " right away", " if you can", " again", " as soon as possible", "")
SYSTEMS = (
    "You are {an |a helpful |a friendly |an AI |a precise }assistant{| with tools| that can call functions}.",
    "You are a helpful assistant.",
    "{Use|Call} {the|your} {tools|functions} {when|if} {they help|needed|you need them}.",
    "You {work for|are the helper of|help the customers of} {a shop|an office|a bank|a library|a hotel|a lab|a garage}.",
    "You are {a|an expert} {planner|clerk|agent|secretary|analyst|operator}. {Answer briefly.|Use tools.|}",
    "You can {use|call} {functions|tools} to {help|answer|do what the user wants}.",
    "{Answer|Help} the user{| with the tools that you have}. {Do not guess|Be brief|Be precise}.",
)


def _name(verb: str, noun: str, adjective: str, rng: random.Random) -> str:
    full = f"{adjective}_{noun}" if adjective else noun
    return rng.choice((
        f"{verb}_{full}", f"{verb}_{full}", f"{verb}_{full}", f"{verb}_{full}", f"{full}_{verb}", fields.camel(f"{verb}_{full}"), fields.camel(f"{verb}_{full}"),
        full, f"{verb}-{noun}", f"{verb}_{plural(full)}", f"{verb}{noun}", f"{full}_tool", f"{verb}_{full}_{rng.choice(('api', 'v2', 'now', 'data', 'info', 'details'))}",
    ))  # fmt: skip


def _description(verb: str, noun: str, adjective: str, roles: list[str], rng: random.Random) -> str:
    full = f"{adjective} {noun}" if adjective else noun
    by = " {by|for|of|with|from} {a |the |}" + rng.choice(roles) if roles and rng.random() < 0.5 else ""
    text = expand(rng.choice((
        "{Verb|Verbs} {a|the|one} FULLBY{.|}", "VERB {a|the} FULLBY", "{This function|This tool|It} VERBs {a|the} FULLBY.", "{Use this to|Call this to|Lets you} verb {a|the} FULL{.|BY.}",
        "VERB FULLSBY{.|}", "{Tool|Function} {for|to} verb {a|the} FULL", "VERB {the|a} FULLBY {in the system|of the user|from the database|and return it|at once}{.|}",
    )), rng)  # fmt: skip
    for mark, value in (("VERB", verb.capitalize()), ("Verb", verb.capitalize()), ("verb", verb), ("FULLS", plural(full)), ("FULL", full), ("BY", expand(by, rng))):
        text = text.replace(mark, value)
    if rng.random() < 0.08:
        text = text.rstrip(".") + ". " + expand("{Returns {the result|a number|text|a list|JSON|an id}.|Needs {a key|an account|a connection}.|{Fast|Slow|Free|Cached}.}", rng)
    return text


def schema_of(name: str, description: str, parameters: list[Field], rng: random.Random) -> Schema:
    """The function as clients send it."""
    properties = {field.name: field.schema for field in parameters}
    required = [field.name for field in parameters if field.required]
    objects: dict[str, Any] = {"type": "object", "properties": properties}
    draw = rng.random()
    if draw < 0.12:
        objects = {"properties": properties, "type": "object"}
    if required or rng.random() < 0.3:
        objects["required"] = required
        if rng.random() < 0.15:
            objects = {"properties": properties, "required": required, "type": "object"}
    if rng.random() < 0.1:
        objects["additionalProperties"] = False
    function: dict[str, Any] = {"name": name}
    if description:
        function["description"] = description
    if parameters or rng.random() < 0.6:
        function["parameters"] = objects
    if rng.random() < 0.08:
        function["strict"] = rng.random() < 0.7
    if rng.random() < 0.1 and description:
        function = {"description": description, **function}
    return {"type": "function", "function": function}


def made(rng: random.Random, nouns: set[str]) -> Function:
    """A function with a noun of its own, and a request for it."""
    asks = rng.random() < 0.5
    verb, *others = rng.choice(ASKS if asks else ACTS)
    if rng.random() < 0.07:
        verb, others = invented(rng), []
    noun = invented(rng) if rng.random() < 0.2 else rng.choice(NOUNS)
    while noun in nouns:
        noun = word(rng)
    nouns.add(noun)
    adjective = rng.choice(ADJECTIVES) if rng.random() < 0.15 else ""
    count = rng.choices((0, 1, 2, 3, 4, 5), (1, 37, 36, 18, 7, 1))[0]
    taken: set[str] = set()
    parameters = [fields.draw(rng, taken) for _ in range(count)]
    said = list(parameters)
    for i in range(1, count):
        if rng.random() < 0.3:
            parameters[i] = fields.optional(parameters[i], rng)
    said = [field for field in parameters if field.required or rng.random() < 0.4]
    arguments = {field.name: field.value for field in parameters if field in said}
    name = _name(verb, noun, adjective, rng)
    if rng.random() < 0.06:
        name = invented(rng)
    roles = [fields.spoken(field.name) for field in parameters]
    description = "" if rng.random() < 0.08 else _description(verb, noun, adjective, roles, rng)
    if said and rng.random() < LOOSE_SHARE:
        asked, subject = _loose(noun, said, rng)
    else:
        asked, subject = _request(verb, others, f"{adjective} {noun}".strip(), said, asks, rng)
    return Function(schema_of(name, description, parameters, rng), name, arguments, asked, subject, asks)


def _loose(noun: str, said: list[Field], rng: random.Random) -> tuple[str, str]:
    """A request that names what it is about, but not what to do; and what it is about."""
    phrases = [field.said for field in said]
    if said[0].bare and rng.random() < 0.7:
        phrases[0] = said[0].bare
    tail = rng.choice((" ", " ", ", ", " and ")).join(phrases)
    frame = rng.choice((
        "will I {w} a {w} {t}", "is {t} {w}", "does {t} {w} a {n}", "has my {n} {t} {w} {w}", "my {n} is {t}", "I {w} {t}", "{n}: {t}", "{t}", "{n} {t}",
        "at what {w} does {t} {w}", "I am {w} {t}", "when do {n}s {w} {t}", "how {w} is {t}", "it is {w} here, {n} {t}", "{t}: {n}", "I {w} a {w} and the {n} is {t}",
        "{n}, {t}", "did {t} {w}", "what will the {n} {w} {t}", "why is the {n} {w} {t}", "{t} should {w}", "the {n} should be {t}", "what {w} the {n} {t}",
    ))  # fmt: skip
    asked = frame.replace("{t}", tail).replace("{n}", noun)
    while "{w}" in asked:
        asked = asked.replace("{w}", word(rng), 1)
    return asked, f"the {noun} {tail}"


def _request(verb: str, others: list[str], noun: str, said: list[Field], asks: bool, rng: random.Random) -> tuple[str, str]:
    """What a user says, and what it is about."""
    act = rng.choice(others) if others and rng.random() < 0.5 else verb
    rest = list(said)
    if rng.random() < 0.3:
        rng.shuffle(rest)
    own: list[Field] = []  # said in sentences of their own
    for field in list(rest):
        if rng.random() < 0.07:
            rest.remove(field)
            own.append(field)
    objects = [field for field in rest if field.bare]
    thing = rng.choice(("the ", "a ", "", "my ", "the ", "our ", "this ", "one ")) + noun
    if objects and rng.random() < 0.35:
        field = objects[0]
        rest.remove(field)
        thing = rng.choice(("the {n} {v}", "{n} {v}", "{v}", "{v}", "the {v} {n}", "{v} as {n}", "{n}: {v}", "the {n} {v}")).format(n=noun, v=field.bare)
    phrases = [field.said for field in rest]
    tail = "".join(rng.choice((" ", " ", " ", " ", ", ", " and ")) + text if i else " " + text for i, text in enumerate(phrases)) if phrases else ""
    front = ""
    if phrases and rng.random() < 0.08:
        front = phrases[-1] + ", "
        tail = "".join(" " + text for text in phrases[:-1])
    subject = thing + tail
    if asks and rng.random() < 0.4:
        frame = rng.choice(("what is {}", "what's {}", "what are {}", "{}", "do you know {}", "how is {}", "I need {}", "I want to know {}", "any idea what {} is", "which {}", "tell me {}",
                            "how much is {}", "where is {}", "is there {}", "what about {}", "I'm looking for {}", "show {}", "who is {}", "when is {}"))  # fmt: skip
        asked = front + frame.format(subject)
    else:
        before = rng.choice(BEFORE) if rng.random() < 0.4 else ""
        asked = f"{before} {front}{act} {subject}".strip()
    if rng.random() < 0.12:
        asked += rng.choice(AFTER)
    if own:
        asked = asked + ". " + " ".join(fields.sentence(field, _value_text(field), rng) for field in own)
    return asked, subject


def _value_text(field: Field) -> str:
    """The value as text, for sentences of their own."""
    if isinstance(field.value, bool):
        return "yes" if field.value else "no"
    if isinstance(field.value, list):
        return ", ".join(map(str, field.value))
    return str(field.value)


def finished(asked: str, rng: random.Random) -> str:
    """A request as a message: with a capital, a mark, and at times something before or after that has no part in it."""
    questions = asked.startswith(("what", "how", "which", "who", "where", "when", "is ", "do ", "any ", "can ", "could ", "would "))
    if asked[-1:] not in ".?!":
        asked += "" if rng.random() < 0.25 else "?" if questions and rng.random() < 0.85 else "."
    if rng.random() < 0.8:
        asked = asked[:1].upper() + asked[1:]
    draw = rng.random()
    if draw < 0.05:
        asked = expand(rng.choice(("I {am in|live in|come from} NAME. ", "My name is NAME. ", "{I am|We are} {planning|preparing|busy with} {a|the} WORDS. ", "{My|Our} WORDS is {nearly |}here. ", "Good {morning|evening}! ")), rng).replace("NAME", proper(rng)).replace("WORDS", phrase(rng, 1, 2)) + asked
    elif draw < 0.09:
        asked += " " + expand("{Thanks!|Thank you.|It is for WORDS.|I need it {today|soon}.|That is all.|My WORDS {needs|wants} it.}", rng).replace("WORDS", phrase(rng, 1, 2))
    if rng.random() < 0.03:
        asked = mistyped(asked, rng) if len(asked) > 60 and rng.random() < 0.3 else asked
    return asked
