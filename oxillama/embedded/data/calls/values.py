"""Values of arguments: as JSON, and as a user writes them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oxillama.embedded.data.calls.lexicon import COMMON, NOUNS, invented, phrase, plural, proper, word

SPELLED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
TOPS = ("com", "org", "net", "io", "de", "example", "co.uk", "eu", "dev")
ENDINGS = ("txt", "pdf", "csv", "md", "png", "jpg", "json", "py", "log", "docx", "zip", "mp3")


@dataclass(frozen=True, slots=True)
class Value:
    """json: the argument. text: how a request says it. schema: the JSON schema's own keywords."""

    json: Any
    text: str
    schema: dict[str, Any]


STRING = {"type": "string"}


def name(rng: random.Random) -> Value:
    text = proper(rng)
    return Value(text, text, STRING)


def thing(rng: random.Random) -> Value:
    text = rng.choice(COMMON) if rng.random() < 0.35 else phrase(rng, 1, 3)
    if rng.random() < 0.12:
        text = rng.choice(("the ", "a ", "my ", "some ")) + text
    return Value(text, text, STRING)


def words(rng: random.Random) -> Value:
    """Some words: a topic, a title or a message."""
    draw = rng.random()
    text = phrase(rng, 1, 6) if draw < 0.7 else proper(rng)
    if draw < 0.25:
        text = text.capitalize()
    if draw < 0.06:
        text += rng.choice("!?.")
    return Value(text, text, STRING)


def quoted(rng: random.Random) -> Value:
    value = words(rng)
    marks = rng.choice(("''", '""', '""', "“”"))
    return Value(value.json, marks[0] + value.text + marks[1], STRING)


def integer(rng: random.Random) -> Value:
    n = rng.randint(0, 12) if rng.random() < 0.35 else rng.randint(1, 10 ** rng.randint(1, 6))
    text = SPELLED[n] if n <= 12 and rng.random() < 0.25 else str(n)
    return Value(n, text, {"type": rng.choice(("integer", "integer", "integer", "number"))})


def decimal(rng: random.Random) -> Value:
    n = round(rng.random() * 10 ** rng.randint(0, 4), rng.choice((1, 1, 2, 2, 3)))
    n = -n if rng.random() < 0.1 else n
    return Value(n, repr(n), {"type": "number"})


def code(rng: random.Random) -> Value:
    """An identifier: letters, digits and marks."""

    def letters(n: int) -> str:
        return "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(n))

    def digits(n: int) -> str:
        return "".join(rng.choice("0123456789") for _ in range(n))

    text = rng.choice((
        f"{letters(1)}-{digits(rng.randint(2, 5))}", f"{letters(3)}{digits(3)}", f"#{digits(rng.randint(2, 5))}", f"{letters(2)}-{digits(2)}-{letters(1)}",
        f"{invented(rng)}_{digits(rng.randint(1, 3))}", f"{word(rng)}-{digits(rng.randint(1, 4))}", digits(rng.randint(3, 8)), letters(rng.randint(2, 5)),
        f"{invented(rng)}-{invented(rng)}", f"v{digits(1)}.{digits(1)}", f"{letters(1)}{digits(rng.randint(1, 3))}", f"{letters(2)} {digits(rng.randint(2, 4))}",
        f"{digits(rng.randint(2, 4))} {digits(rng.randint(2, 5))}", f"{digits(rng.randint(2, 4))}-{digits(rng.randint(2, 5))}", f"+{digits(rng.randint(5, 9))}",
        f"{digits(rng.randint(1, 3))}.{digits(2)}.{digits(1)}.{digits(rng.randint(1, 2))}", f"{invented(rng)}.{invented(rng)}", f"{invented(rng)}{digits(1)}", f"{digits(1)}{letters(1).lower()}",
    ))  # fmt: skip
    return Value(text, text, STRING)


def email(rng: random.Random) -> Value:
    text = f"{invented(rng)}{rng.choice(('', '', '.' + invented(rng)))}@{word(rng)}.{rng.choice(TOPS)}"
    return Value(text, text, STRING if rng.random() < 0.7 else {"type": "string", "format": "email"})


def url(rng: random.Random) -> Value:
    text = f"{rng.choice(('https://', 'https://', 'http://', 'www.'))}{word(rng)}.{rng.choice(TOPS)}{rng.choice(('', '/' + word(rng), '/' + word(rng) + '/' + invented(rng)))}"
    return Value(text, text, STRING)


def path(rng: random.Random) -> Value:
    file = f"{word(rng)}{rng.choice(('', '_' + word(rng), '-' + invented(rng), '2'))}.{rng.choice(ENDINGS)}"
    text = rng.choice((file, file, f"/{word(rng)}/{file}", f"{word(rng)}/{file}", f"/{word(rng)}/{word(rng)}", f"~/{file}"))
    return Value(text, text, STRING)


def date(rng: random.Random) -> Value:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1990, 2032)
    text = rng.choice((
        f"{year}-{month:02}-{day:02}", f"{year}-{month:02}-{day:02}", f"{day} {MONTHS[month - 1]}", f"{MONTHS[month - 1]} {day}",
        f"{day} {MONTHS[month - 1]} {year}", rng.choice(DAYS), "next " + rng.choice(DAYS), "tomorrow", "today", f"{day:02}/{month:02}/{year}", f"{day}.{month}.{year}",
    ))  # fmt: skip
    return Value(text, text, STRING if rng.random() < 0.8 else {"type": "string", "format": "date"})


def clock(rng: random.Random) -> Value:
    hour, minute = rng.randint(0, 23), rng.choice((0, 15, 30, 45, rng.randint(0, 59)))
    text = rng.choice((f"{hour:02}:{minute:02}", f"{hour:02}:{minute:02}", f"{hour}:{minute:02}", f"{hour % 12 + 1} {rng.choice(('am', 'pm'))}", f"{hour % 12 + 1}:{minute:02} pm", "noon"))
    return Value(text, text, STRING)


def names(rng: random.Random) -> Value:
    """A list of two to four strings."""
    draw: Callable[[random.Random], Value] = rng.choice((name, name, thing, code, email))
    items = [draw(rng).json for _ in range(rng.choice((1, 2, 2, 2, 3, 3, 4)))]
    text = items[0] if len(items) == 1 else ", ".join(items[:-1]) + rng.choice((" and ", " and ", ", ")) + items[-1]
    return Value(items, text, {"type": "array", "items": {"type": "string"}})


def integers(rng: random.Random) -> Value:
    items = [rng.randint(0, 10 ** rng.randint(1, 3)) for _ in range(rng.randint(2, 5))]
    text = ", ".join(map(str, items[:-1])) + rng.choice((" and ", ", ")) + str(items[-1])
    return Value(items, text, {"type": "array", "items": {"type": rng.choice(("integer", "number"))}})


ENUMS = (
    ("low", "medium", "high"), ("low", "normal", "high", "urgent"), ("small", "medium", "large"), ("celsius", "fahrenheit"), ("metric", "imperial"),
    ("asc", "desc"), ("red", "green", "blue"), ("daily", "weekly", "monthly"), ("morning", "noon", "evening"), ("open", "closed", "pending"),
    ("economy", "business", "first"), ("csv", "json", "xml"), ("light", "dark"), ("public", "private"), ("cash", "card", "voucher"), ("car", "train", "bus", "bike"),
    ("north", "south", "east", "west"), ("draft", "final"), ("email", "phone", "letter"), ("single", "double", "suite"), ("USD", "EUR", "GBP", "JPY"),
    ("dev", "staging", "production"), ("debug", "info", "warning", "error"), ("left", "right"), ("hot", "cold"), ("add", "subtract", "multiply", "divide"),
)  # fmt: skip


def choice(rng: random.Random) -> Value:
    """One of a list of words that the schema gives."""
    if rng.random() < 0.4:
        options = list(rng.choice(ENUMS))
    else:
        options = list(dict.fromkeys(word(rng) for _ in range(rng.randint(2, 5))))
    chosen = rng.choice(options)
    return Value(chosen, chosen.replace("_", " "), {"type": "string", "enum": options})


def amount(rng: random.Random) -> Value:
    """A sum of money, whose number alone is the argument."""
    value = integer(rng) if rng.random() < 0.6 else decimal(rng)
    number = abs(value.json)
    text = rng.choice(("{} euros", "{} dollars", "${}", "€{}", "{} EUR", "{} USD", "{} pounds", "{}")).format(number)
    return Value(number, text, {"type": "number"})


def counted(rng: random.Random) -> tuple[Value, str]:
    """A number of things, and what they are."""
    noun = rng.choice(NOUNS) if rng.random() < 0.7 else invented(rng)
    value = integer(rng)
    return Value(value.json, f"{value.text} {plural(noun)}", value.schema), plural(noun)
