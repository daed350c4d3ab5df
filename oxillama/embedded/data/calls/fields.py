"""Parameters of made-up functions, each with its value and the part of the request that says it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oxillama.embedded.data.calls import values
from oxillama.embedded.data.calls.lexicon import ADJECTIVES, NOUNS, invented, word
from oxillama.embedded.data.calls.values import Value
from oxillama.embedded.data.text.spintax import expand

Draw = Callable[[random.Random], Value]


@dataclass(frozen=True, slots=True)
class Role:
    """names: what such parameters are called, parted by spaces. cues: how a request brings the value in, "@". bare: whether a verb may take it."""

    names: str
    draws: tuple[Draw, ...]
    cues: tuple[str, ...]
    bare: bool = False


@dataclass(slots=True)
class Field:
    """One parameter. said: the phrase of the request that gives its value; "" for one that is left out."""

    name: str
    schema: dict[str, Any]
    value: Any
    said: str
    bare: str  # the value alone, when a verb may take it as its object, else ""
    required: bool = True


V = values
FROM = Role("origin source start start_point departure from from_city from_account sender origin_city source_folder begin from_unit",
            (V.name, V.name, V.code, V.thing), ("from @", "from @", "starting {at|in} @", "out of @"))  # fmt: skip
TO = Role("destination target goal to to_city end recipient receiver to_account dest arrival target_folder to_unit target_language",
          (V.name, V.name, V.code, V.thing), ("to @", "to @", "into @", "towards @"))  # fmt: skip
PLACE = Role("city location place region country town area district venue address state zone site position where",
             (V.name,), ("in @", "in @", "at @", "for @", "near @", "around @"))  # fmt: skip
PERSON = Role("person user customer contact guest author employee client member patient assignee owner name user_name student player",
              (V.name, V.name, V.code), ("for @", "for @", "by @", "of @", "with @"), True)  # fmt: skip
TOPIC = Role("topic query subject keyword search_term term theme genre category question q search keywords text",
             (V.words, V.words, V.quoted, V.name), ("about @", "about @", "on @", "for @", "regarding @", "concerning @"), True)  # fmt: skip
TEXT = Role("message text body content note comment title caption description reason summary label heading prompt phrase sentence",
            (V.quoted, V.quoted, V.quoted, V.words), ("saying @", "that says @", "with the KEY @", "KEY: @", "with KEY @", "called @", ": @", "reading @"), True)  # fmt: skip
DATE = Role("date day due due_date deadline start_date end_date when on_date until travel_date birthday",
            (V.date,), ("on @", "on @", "for @", "by @", "until @", "@"))  # fmt: skip
TIME = Role("time at hour start_time end_time at_time clock_time", (V.clock,), ("at @", "at @", "for @", "from @", "by @"))
COUNT = Role("count quantity number amount limit size max_results n total how_many number_of_items top k",
             (V.integer,), ("@ of them", "@ times", "up to @", "at most @", "limit @", "KEY @", "@ pieces", "the top @", "only @"))  # fmt: skip
DURATION = Role("minutes hours days seconds weeks months years nights", (V.integer,), ("for @ KEY", "for @ KEY", "@ KEY", "over @ KEY", "in @ KEY"))
MEASURE = Role("width height length weight depth distance radius speed temperature volume age degrees level percent price budget score power angle",
               (V.integer, V.integer, V.decimal), ("with {a |}KEY {of |}@", "KEY @", "{at|with} a KEY of @", "@ KEY", "of KEY @", "{with|and} KEY = @", "to @"))  # fmt: skip
MONEY = Role("amount price budget fee cost total sum max_price value payment", (V.amount,), ("for @", "of @", "worth @", "with a KEY of @", "under @", "@"))
ITEM = Role("item product device file song book room object model component ingredient food animal language dish tool word",
            (V.thing, V.thing, V.name, V.code), ("for @", "of @", "KEY @", "the KEY @", "with @"), True)  # fmt: skip
IDENTIFIER = Role("id code ticket_id order_id reference serial sku account isbn number_plate ticker symbol key flight pnr version",
                  (V.code,), ("KEY @", "with KEY @", "with the KEY @", "for @", "@", "number @"), True)  # fmt: skip
EMAIL = Role("email address email_address to mail contact_email recipient cc", (V.email,), ("to @", "at @", "for @", "with KEY @", "KEY @"))
LINK = Role("url link website page uri image_url", (V.url,), ("at @", "from @", "of @", "for @", "KEY @", "@"), True)
PATH = Role("path file filename file_path file_name folder directory output input", (V.path,), ("from @", "in @", "to @", "at @", "KEY @", "@"), True)
LIST = Role("items names tags people ingredients attendees members cities recipients labels fields products guests",
            (V.names,), ("with @", "for @", "of @", "KEY: @", "with KEY @", "KEY @"), True)  # fmt: skip
NUMBERS = Role("numbers values data scores list series points", (V.integers,), ("of @", "KEY @", "for @", "KEY: @", "with @"), True)
OPTION = Role("unit priority mode format type kind status size color style level order frequency category language currency method class sort",
              (V.choice,), ("in @", "with @ KEY", "as @", "KEY @", "@", "with KEY @", "in @ KEY", "by @"))  # fmt: skip
ROLES = ((FROM, 6), (TO, 8), (PLACE, 12), (PERSON, 10), (TOPIC, 9), (TEXT, 8), (DATE, 9), (TIME, 5), (COUNT, 6), (DURATION, 5), (MEASURE, 7), (MONEY, 4),
         (ITEM, 12), (IDENTIFIER, 8), (EMAIL, 4), (LINK, 3), (PATH, 4), (LIST, 4), (NUMBERS, 2), (OPTION, 11))  # fmt: skip
_ROLES, _WEIGHTS = tuple(role for role, _ in ROLES), tuple(weight for _, weight in ROLES)
ANY: tuple[Draw, ...] = (V.name, V.thing, V.words, V.quoted, V.integer, V.integer, V.decimal, V.code, V.email, V.path, V.date, V.clock, V.choice, V.names)
BY_KEY = ("KEY @", "with KEY @", "KEY: @", "KEY = @", "the KEY is @", "with @ as {the |}KEY", "KEY should be @", "with {the|a} KEY {of |}@", "and @ for {the |}KEY", "set KEY to @", "{use|take} @ as {the |}KEY")
SENTENCES = ("{The |Its |Their |}KEY {is|should be|must be} @.", "{Use|Take} @ as {the |}KEY.", "KEY: @.", "{Set|Make} {the |}KEY {to |}@.")


def camel(text: str) -> str:
    first, *others = text.split("_")
    return first + "".join(other.capitalize() for other in others)


def spoken(key: str) -> str:
    """A parameter's name as a user would say it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key).replace("_", " ").lower()


def _described(schema: dict[str, Any], name: str, rng: random.Random) -> dict[str, Any]:
    """The schema with a title or description, in front or behind."""
    draw = rng.random()
    noun = rng.choice(NOUNS)
    if draw < 0.2:
        text = expand("{The|The|A|Its} @{| of the NOUN| to use| as text| for the NOUN|, if known| in the NOUN}{|.}|@ of the NOUN{|.}|{What|Which} @ {to use|is meant}|{Name|Kind} of the @{|.}", rng)
        text = text.replace("@", spoken(name)).replace("NOUN", noun)
        if rng.random() < 0.2:
            example = values.name(rng).json if schema.get("type") == "string" else rng.randint(1, 500)
            text = f"{text.rstrip('.')}, e.g. {example}"
        text = text[:1].upper() + text[1:]
        return {**schema, "description": text} if rng.random() < 0.7 else {"description": text, **schema}
    if draw < 0.27:  # as pydantic writes it
        title = {"title": name.replace("_", " ").title()}
        return {**title, **schema} if rng.random() < 0.5 else {**schema, **title}
    return dict(schema)


def flag(rng: random.Random, taken: set[str]) -> Field:
    """A boolean."""
    noun, adjective = (rng.choice(NOUNS) if rng.random() < 0.7 else invented(rng)), rng.choice(ADJECTIVES)
    on = rng.random() < 0.6
    name, yes, no = rng.choice((
        (f"include_{noun}", f"{{with|including|include}} {noun}", f"{{without|excluding|no}} {noun}"),
        (f"with_{noun}", f"{{with|and}} {noun}", f"{{without|no}} {noun}"),
        (f"is_{adjective}", f"{{and make it|, it is|as}} {adjective}", f"{{and make it|, it is}} not {adjective}"),
        (adjective, f"{{make it|and it is|it should be}} {adjective}", f"{{not|and not|it is not}} {adjective}"),
        (noun, f"{{with|and|including}} {noun}{{| on| please}}", f"{{without|no}} {noun}"),
        (f"{noun}_enabled", f"with {noun} {{on|enabled}}", f"with {noun} {{off|disabled}}"),
        ("on", "{and turn it|, switch it|to} on", "{and turn it|, switch it|to} off"),
    ))  # fmt: skip
    said = expand(yes if on else no, rng)
    return Field(_free(name, taken), _described({"type": "boolean"}, name, rng), on, said, "")


def _free(name: str, taken: set[str]) -> str:
    """The name, or one that is not taken yet."""
    while name in taken:
        name += "_2" if name[-1].isdigit() else "2"
    taken.add(name)
    return name


def counted(rng: random.Random, taken: set[str]) -> Field:
    """A number of things that its name tells."""
    value, noun = values.counted(rng)
    name = rng.choice(("{}", "num_{}", "{}", "max_{}", "number_of_{}", "{}_count", "n_{}", "min_{}")).format(noun)
    said = rng.choice(("@", "for @", "with @", "of @", "up to @")).replace("@", value.text)
    return Field(_free(name, taken), _described(value.schema, name, rng), value.json, said, "")


def named(rng: random.Random, taken: set[str]) -> Field:
    """A parameter whose name tells nothing but itself; the request says it."""
    name = rng.choice((word(rng), f"{word(rng)}_{word(rng)}", invented(rng), f"{rng.choice(ADJECTIVES)}_{rng.choice(NOUNS)}"))
    value = rng.choice(ANY)(rng)
    said = expand(rng.choice(BY_KEY), rng).replace("KEY", spoken(name)).replace("@", value.text)
    return Field(_free(name, taken), _described(value.schema, name, rng), value.json, said, "")


def draw(rng: random.Random, taken: set[str]) -> Field:
    """Any parameter."""
    kind = rng.random()
    if kind < 0.08:
        return flag(rng, taken)
    if kind < 0.16:
        return counted(rng, taken)
    if kind < 0.34:
        return named(rng, taken)
    role = rng.choices(_ROLES, _WEIGHTS)[0]
    name = rng.choice(role.names.split())
    shape = rng.random()
    if shape < 0.22:
        name = f"{rng.choice(NOUNS)}_{name}"
    elif shape < 0.28:
        name = f"{rng.choice(ADJECTIVES)}_{name}"
    if rng.random() < 0.12:
        name = camel(name)
    value = rng.choice(role.draws)(rng)
    cue = expand(rng.choice(role.cues if rng.random() < 0.85 else BY_KEY), rng)
    said = cue.replace("KEY", spoken(name)).replace("@", value.text)
    return Field(_free(name, taken), _described(value.schema, name, rng), value.json, said, value.text if role.bare else "")


def optional(field: Field, rng: random.Random) -> Field:
    """The field as one that may be left out, as libraries write such."""
    schema = dict(field.schema)
    draw = rng.random()
    if draw < 0.3 and "enum" not in schema:
        kind = {key: schema.pop(key) for key in ("type", "items", "format") if key in schema}
        schema = {"anyOf": [kind, {"type": "null"}], "default": None, **schema}
    elif draw < 0.6:
        default = {"string": "", "integer": rng.randint(0, 20), "number": 1.0, "boolean": False, "array": []}[schema["type"]]
        schema["default"] = schema["enum"][0] if "enum" in schema else default
    return Field(field.name, schema, field.value, field.said, field.bare, required=False)


def sentence(field: Field, text: str, rng: random.Random) -> str:
    """A sentence of its own that gives the value."""
    made = expand(rng.choice(SENTENCES), rng).replace("KEY", spoken(field.name)).replace("@", text)
    return made[:1].upper() + made[1:]
