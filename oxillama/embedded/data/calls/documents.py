"""JSON answers: what a text says, as an object whose keys a schema, the request, or nothing but the answer's own beginning tells."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oxillama.embedded.data.calls import fields, functions, values
from oxillama.embedded.data.calls.lexicon import NOUNS, invented, phrase, proper, word
from oxillama.embedded.data.calls.tasks import Conversation, Message, user
from oxillama.embedded.data.text.spintax import expand
from oxillama.embedded.data.text.words import FOODS, JOBS, LANGUAGES
from oxillama.embedded.data.turns import numbers, questions


@dataclass(frozen=True, slots=True)
class Trait:
    """What a text may say of its subject. keys: names of the field. says: after the subject, "@" is the value."""

    keys: tuple[str, ...]
    draw: Callable[[random.Random], values.Value]
    says: tuple[str, ...]


def _small(rng: random.Random) -> values.Value:
    n = rng.randint(1, 99)
    return values.Value(n, str(n), {"type": "integer"})


def _of(options: tuple[str, ...]) -> Callable[[random.Random], values.Value]:
    def draw(rng: random.Random) -> values.Value:
        text = rng.choice(options) if rng.random() < 0.7 else word(rng)
        return values.Value(text, text, values.STRING)

    return draw


PERSON = (
    Trait(("age", "years", "age_in_years", "years_old"), _small, ("is @ years old", "is @", "is aged @", "turned @", "has just turned @", "is @ years of age")),
    Trait(("city", "town", "home", "place", "location", "residence", "lives_in", "address"), values.name, ("lives in @", "is from @", "comes from @", "moved to @", "resides in @", "has a house in @")),
    Trait(("job", "occupation", "profession", "role", "work", "job_title"), _of(JOBS), ("works as a @", "is a @ by trade", "earns a living as a @", "is employed as a @", "became a @")),
    Trait(("employer", "company", "organization", "firm"), values.name, ("works at @", "works for @", "is with @", "was hired by @")),
    Trait(("email", "email_address", "contact", "mail"), values.email, ("can be reached at @", "has the address @", "writes from @", "uses @")),
    Trait(("language", "native_language", "speaks"), _of(LANGUAGES), ("speaks @", "is learning @", "writes in @")),
    Trait(("favorite_food", "food", "likes", "favourite_dish"), _of(FOODS), ("likes @", "loves @", "always eats @", "cannot live without @")),
    Trait(("birthday", "birth_date", "born", "date_of_birth"), values.date, ("was born on @", "has a birthday on @")),
    Trait(("children", "number_of_children", "pets", "cats"), _small, ("has @ {KEY}", "looks after @ {KEY}")),
    Trait(("hobbies", "interests", "languages", "skills"), values.names, ("has these {KEY}: @", "lists as {KEY}: @")),
    Trait(("spouse", "friend", "manager", "teacher"), values.name, ("has a {KEY} called @", "named @ as {KEY}")),
)
THING = (
    Trait(("price", "cost", "amount", "price_eur"), values.amount, ("costs @", "is sold for @", "is priced at @", "goes for @")),
    Trait(("weight", "weight_kg", "kilograms"), _small, ("weighs @ kg", "weighs @ kilograms")),
    Trait(("color", "colour", "paint"), _of(("red", "green", "blue", "black", "white", "yellow")), ("is @", "comes in @", "is painted @")),
    Trait(("material", "made_of", "fabric"), _of(("wood", "steel", "glass", "cotton", "leather", "clay")), ("is made of @", "consists of @")),
    Trait(("brand", "maker", "manufacturer", "vendor", "seller"), values.name, ("is made by @", "comes from @", "is sold by @")),
    Trait(("stock", "quantity", "in_stock", "count", "units"), _small, ("has @ pieces left", "is in stock @ times", "is available @ times")),
    Trait(("sku", "code", "article_number", "id", "serial"), values.code, ("has the number @", "is listed as @", "has the code @")),
    Trait(("rating", "score", "stars"), values.decimal, ("is rated @", "scored @", "got @ stars")),
)
EVENT = (
    Trait(("date", "day", "when", "event_date"), values.date, ("takes place on @", "is on @", "was moved to @", "happens on @")),
    Trait(("time", "start", "start_time", "starts_at"), values.clock, ("starts at @", "begins at @", "opens at @")),
    Trait(("location", "venue", "place", "city", "where"), values.name, ("is held in @", "takes place at @", "is in @", "will be at @")),
    Trait(("participants", "attendees", "guests", "people", "capacity"), values.names, ("brings together @", "is attended by @", "is for @")),
    Trait(("organizer", "host", "speaker", "leader"), values.name, ("is organised by @", "is hosted by @", "is led by @")),
    Trait(("seats", "capacity", "number_of_guests", "tickets"), _small, ("has @ seats", "is for @ guests", "has room for @")),
    Trait(("topic", "theme", "subject"), values.words, ("is about @", "deals with @", "has the topic @")),
)
SUBJECTS = (
    (PERSON, ("name", "full_name", "person", "who", "user_name", "customer"), proper),
    (THING, ("product", "item", "name", "title", "object", "product_name"), lambda rng: phrase(rng, 1, 2)),
    (EVENT, ("event", "title", "name", "event_name", "meeting"), lambda rng: rng.choice((phrase(rng, 1, 2), proper(rng)))),
)
GOOD = ["love", "great", "wonderful", "excellent", "happy", "perfect", "amazing", "good", "fantastic", "nice", "delighted", "best", "brilliant", "pleased", "lovely", "enjoy", "superb"]
BAD = ["hate", "terrible", "awful", "bad", "broken", "sad", "worst", "horrible", "useless", "angry", "disappointed", "poor", "annoying", "rude", "slow", "dirty", "boring"]


@dataclass(slots=True)
class Document:
    text: str
    content: dict[str, Any]
    schema: dict[str, Any]


def _object(properties: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": properties}
    if rng.random() < 0.85:
        made["required"] = list(properties)
    if rng.random() < 0.4:
        made["additionalProperties"] = False
    if rng.random() < 0.25:
        made = {"title": invented(rng).capitalize(), **made}
    return made


def _shown(schema: dict[str, Any], key: str, rng: random.Random) -> dict[str, Any]:
    draw = rng.random()
    if draw < 0.2:
        return {"title": key.replace("_", " ").title(), **schema}
    return {**schema, "description": f"The {key.replace('_', ' ')}"} if draw < 0.35 else dict(schema)


def _portrait(rng: random.Random, traits: tuple[Trait, ...], key: str, subject: str, chosen: list[tuple[Trait, str]]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Sentences on one subject, the object, and its properties."""
    content: dict[str, Any] = {key: subject}
    properties: dict[str, Any] = {key: _shown(values.STRING, key, rng)}
    statements = []
    for trait, field in chosen:
        value = trait.draw(rng)
        if field in content:
            continue
        content[field] = value.json
        properties[field] = _shown(value.schema, field, rng)
        statement = rng.choice(trait.says).replace("{KEY}", field.replace("_", " ").removeprefix("number of ")).replace("@", value.text)
        for vowel in "aeiou":
            statement = statement.replace(f" a {vowel}", f" an {vowel}") if trait.keys[0] == "job" else statement
        statements.append(statement)
    order = list(statements)
    rng.shuffle(order)
    start = subject if traits is PERSON or subject[:1].isupper() else rng.choice(("the ", "our ", "this ", "the ")) + subject
    text = start
    for i, statement in enumerate(order):
        if i == 0:
            text += " " + statement
        else:
            other = rng.choice(("and", "and", ", and", ". It" if traits is not PERSON else f". {subject}", ". It" if traits is not PERSON else ". " + rng.choice(("He", "She", "They"))))
            text += (other if other[0] in ",." else " " + other) + " " + statement
    text = text[:1].upper() + text[1:] + "."
    if rng.random() < 0.5:
        keys = list(content)
        rng.shuffle(keys)
        content, properties = {k: content[k] for k in keys}, {k: properties[k] for k in keys}
    return text, content, properties


def portrait(rng: random.Random) -> Document:
    traits, keys, draw = rng.choice(SUBJECTS)
    key = rng.choice(keys)
    picked = [(trait, rng.choice(trait.keys)) for trait in rng.sample(traits, rng.choice((1, 1, 2, 2, 3, 4)))]
    text, content, properties = _portrait(rng, traits, key, draw(rng), picked)
    if rng.random() < 0.12:  # something that the text does not say
        missing = rng.choice((word(rng), rng.choice(NOUNS), "notes", "phone", "comment"))
        if missing not in content:
            nothing = rng.choice(((None, {"anyOf": [{"type": "string"}, {"type": "null"}]}), (None, {"type": ["string", "null"]}), ("unknown", {"type": "string"}), (None, {"type": ["integer", "null"]})))
            content[missing], properties[missing] = nothing
    return Document(text, content, _object(properties, rng))


def several(rng: random.Random) -> Document:
    """Two or three subjects of one kind."""
    traits, keys, draw = rng.choice(SUBJECTS)
    key = rng.choice(keys)
    picked = [(trait, rng.choice(trait.keys)) for trait in rng.sample(traits, rng.choice((1, 1, 2)))]
    texts, items = [], []
    properties: dict[str, Any] = {}
    for _ in range(rng.choice((2, 2, 3))):
        text, content, properties = _portrait(rng, traits, key, draw(rng), picked)
        texts.append(text)
        items.append(content)
    order = list(properties)
    items = [{k: item[k] for k in order} for item in items]
    name = rng.choice(("items", "people", "entries", "results", "list", "records", rng.choice(NOUNS) + "s"))
    return Document(" ".join(texts), {name: items}, _object({name: {"type": "array", "items": _object(properties, rng)}}, rng))


def stated(rng: random.Random) -> Document:
    """Fields that the text names."""
    taken: set[str] = set()
    found = [fields.named(rng, taken) if rng.random() < 0.5 else fields.draw(rng, taken) for _ in range(rng.randint(1, 4))]
    function = functions.made(rng, set())
    shuffled = list(found)
    rng.shuffle(shuffled)
    text = rng.choice((
        ", ".join(field.said for field in shuffled), function.subject + " " + " and ".join(field.said for field in shuffled), ". ".join(field.said.capitalize() if False else field.said for field in shuffled),
        " ".join(fields.sentence(field, functions._value_text(field), rng) for field in shuffled),
    ))  # fmt: skip
    text = text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
    return Document(text, {field.name: field.value for field in found}, _object({field.name: field.schema for field in found}, rng))


def judged(rng: random.Random) -> Document:
    """A sentiment or a label, out of those that the schema gives."""
    good = rng.random() < 0.5
    adjective = rng.choice(GOOD if good else BAD)
    text = expand(rng.choice(("{The|This|My} THING {is|was} WORD{.|!}", "{I am|We are} so WORD {about|with} the THING{.|!}", "WORD THING{.|!}", "{What a|Such a} WORD THING{.|!}", "I {really |}WORD {the|this} THING{.|!}")), rng)
    text = text.replace("THING", phrase(rng, 1, 2)).replace("WORD", adjective)
    labels = rng.choice((("positive", "negative"), ("positive", "negative", "neutral"), ("good", "bad"), ("happy", "unhappy")))
    key = rng.choice(("sentiment", "label", "mood", "feeling", "rating", "tone", "verdict"))
    return Document(text[:1].upper() + text[1:], {key: labels[0] if good else labels[1]}, _object({key: {"type": "string", "enum": list(labels)}}, rng))


def answered(rng: random.Random) -> Document:
    """A question whose answer is one field."""
    key = rng.choice(("answer", "answer", "result", "response", "reply", "text", "output"))
    if rng.random() < 0.6:
        asked, answer = numbers.sum_of_two(rng)
        return Document(asked, {key: int(answer.rstrip(".").rpartition(" ")[2])}, _object({key: {"type": "integer"}}, rng))
    asked, answer = questions.sample(rng)
    return Document(asked, {key: answer}, _object({key: {"type": "string"}}, rng))


KINDS = ((portrait, 52), (several, 10), (stated, 20), (judged, 10), (answered, 8))
_DRAWS, _SHARES = tuple(kind for kind, _ in KINDS), tuple(share for _, share in KINDS)
BY_SCHEMA = (
    "{Answer|Reply|Respond} {with|in|only with|as} {JSON|a JSON object|valid JSON}{| alone| and nothing else} {that follows|matching|according to|that conforms to} {this|the following} {JSON |}schema: SCHEMA",
    "{The answer must be|Write|Give|Return|Output} JSON {of|for|following} this schema:\nSCHEMA", "{Use|Follow} this JSON schema{| for the answer}:\nSCHEMA", "JSON schema: SCHEMA",
    "You must {reply|answer} in JSON. {The s|S}chema: SCHEMA",
)
BY_KEYS = (
    "{Answer|Reply|Respond} {in|with|as} JSON with {the |}keys KEYS.", "{Extract|Give me|Return|Write} KEYS as JSON.", "{Extract|Find|Get} {the |}KEYS{| from the text} {as|in} {JSON|a JSON object}.",
    "JSON with KEYS{, please|}.", "{Give|Write} a JSON object with the {fields|keys} KEYS.", "{Put|Turn} {it|this|that} into JSON with KEYS.",
)
BARE = ("{Extract|Find|Get|Pull out|Read off} {the |}{information|details|data|facts|fields|person|event|product|entities|user}{| from{ the|} text}: ", "{Extract|Parse}: ", "{Parse|Analyse|Analyze|Read|Describe} {this|the text|the following}: ",
        "{What does this say|Fill in the form}: ", "", "", "", "{Classify|Label|Judge}{| this| the text}: ", "{Text|Input|Note}: ")  # fmt: skip


def sample(rng: random.Random) -> Conversation:
    """A text, a request for JSON, and the JSON."""
    document = rng.choices(_DRAWS, _SHARES)[0](rng)
    compact = rng.random() < 0.35
    answer = json.dumps(document.content, ensure_ascii=False, separators=(",", ":") if compact else None)
    messages: list[Message] = []
    draw = rng.random()
    front = expand(rng.choice(BARE), rng)
    if draw < 0.35:
        shown = json.dumps(document.schema, ensure_ascii=False, indent=2 if rng.random() < 0.08 else None)
        instruction = expand(rng.choice(BY_SCHEMA), rng).replace("SCHEMA", shown)
        place = rng.random()
        if place < 0.6:
            messages = [{"role": "system", "content": rng.choice(("", "You are a helpful assistant.\n\n", "You are a helpful assistant. ")) + instruction}, user(front + document.text)]
        else:
            messages = [user(rng.choice((f"{document.text}\n\n{instruction}", f"{instruction}\n\n{front}{document.text}", f"{front}{document.text} {instruction}")))]
        return [*messages, {"role": "assistant", "content": answer}], None
    if draw < 0.60:
        keys = list(document.content)
        listed = keys[0] if len(keys) == 1 else ", ".join(keys[:-1]) + " and " + keys[-1]
        instruction = expand(rng.choice(BY_KEYS), rng).replace("KEYS", listed)
        if rng.random() < 0.3:
            messages = [{"role": "system", "content": instruction}, user(front + document.text)]
        else:
            messages = [user(rng.choice((f"{document.text} {instruction}", f"{instruction}\n{document.text}", f"{instruction} {document.text}")))]
        return [*messages, {"role": "assistant", "content": answer}], None
    if rng.random() < 0.3:
        messages.append({"role": "system", "content": rng.choice(("You are a helpful assistant.", "Answer in JSON.", "Extract the data.", "Answer with JSON."))})
    return [*messages, user(front + document.text), {"role": "assistant", "content": answer, "parts": _parts(document.content, answer)}], None


def _parts(content: dict[str, Any], answer: str) -> list[tuple[str, bool]]:
    """The answer with its keys given, as a grammar would force them, and its values learnt."""
    parts: list[tuple[str, bool]] = []
    rest = answer
    for key in _keys(content):
        mark = json.dumps(key, ensure_ascii=False) + ":"
        at = rest.index(mark) + len(mark)
        before = rest.index(mark)
        # Learnt up to the comma that asks for the next key.
        value, given = rest[: max(0, before - 1)], rest[max(0, before - 1) : at]
        if value:
            parts.append((value, bool(parts)))
        parts.append((given, False))
        rest = rest[at:]
    parts.append((rest, True))
    return parts


def _keys(content: Any) -> list[str]:
    """All keys in the order in which they are written."""
    if isinstance(content, dict):
        return [name for key, value in content.items() for name in (key, *_keys(value))]
    if isinstance(content, list):
        return [name for item in content for name in _keys(item)]
    return []
