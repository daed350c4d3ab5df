"""Conversations with made-up functions: one call, several, calls that need an earlier result, and answers from results."""

from __future__ import annotations

import json
import random
from typing import Any

from oxillama.embedded.chat import call_text
from oxillama.embedded.data.calls import functions, values
from oxillama.embedded.data.calls.functions import Function, finished
from oxillama.embedded.data.calls.lexicon import NOUNS, invented, phrase, proper, word
from oxillama.embedded.data.text.spintax import expand
from oxillama.embedded.data.turns import offtopic, questions, smalltalk

Message = dict[str, Any]
Conversation = tuple[list[Message], list[dict[str, Any]] | None]
JOINTS = (" and ", " and ", ", and ", " and also ", ". Also ", ". Then ", " and then ", ", then ", "; ", ". ")


def said(text: str, learnt: bool = True) -> Message:
    return {"role": "assistant", "content": text} if learnt else {"role": "assistant", "content": text, "learnt": False}


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def result(text: str) -> Message:
    return {"role": "tool", "content": text}


def _scalar(rng: random.Random) -> Any:
    draw = rng.choice((values.integer, values.integer, values.decimal, values.name, values.thing, values.words, values.code, values.date, values.clock, values.choice))
    return draw(rng).json


def _listed(items: list[Any]) -> str:
    texts = [str(item) for item in items]
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + " and " + texts[-1]


def outcome(function: Function, rng: random.Random) -> tuple[str, str]:
    """What a function gives, and the answer to the user."""
    draw = rng.random()
    if draw < 0.28:
        value = _scalar(rng)
        return str(value), f"The result is {value}."
    if draw < 0.62:
        keys = list(dict.fromkeys(rng.choice((word(rng), rng.choice(NOUNS), f"{word(rng)}_{rng.choice(NOUNS)}", "result", "value", "status", "answer")) for _ in range(rng.choice((1, 1, 2, 2, 3)))))
        fields = {key: _scalar(rng) for key in keys}
        said = [f"the {key.replace('_', ' ')} is {value}" for key, value in fields.items()]
        text = _listed(said)
        return json.dumps(fields, ensure_ascii=False), text[:1].upper() + text[1:] + "."
    if draw < 0.74:
        text = expand(rng.choice(("{It|This|That} is @.", "@ {is|was} {found|done|ready|here|open|closed}.", "{The|A} @ {costs|has|is|needs} @.", "{We|I} {found|have|know} @.", "@: @.", "@, @ and @")), rng)
        while "@" in text:
            text = text.replace("@", phrase(rng, 1, 3) if rng.random() < 0.6 else str(_scalar(rng)), 1)
        text = text[:1].upper() + text[1:]
        return text, text
    if draw < 0.82:
        kind = rng.choice((values.name, values.thing, values.code))
        items = [kind(rng).json for _ in range(rng.randint(1, 4))]
        listed = rng.choice((items, {rng.choice(NOUNS) + "s": items}, {"results": items}))
        return json.dumps(listed, ensure_ascii=False), f"I found {_listed(items)}."
    if draw < 0.94:
        return rng.choice(('{"ok": true}', "ok", "done", '{"status": "ok"}', '{"success": true}', "success", "null", "{}", '{"result": "ok"}', '{"status": "success"}')), "Done."
    reason = rng.choice((phrase(rng, 2, 5), "not found", "no such " + rng.choice(NOUNS), "timeout", "no permission", proper(rng) + " is unknown"))
    return json.dumps({"error": reason}) if rng.random() < 0.7 else f"Error: {reason}", f"That failed: {reason}."


def schemas_with(chosen: list[Function], nouns: set[str], rng: random.Random) -> list[dict[str, Any]]:
    """The chosen functions among others, in any order."""
    others = rng.choices((0, 1, 2, 3, 4, 5), (56, 32, 10, 1, 1, 0))[0]
    found = [function.schema for function in chosen] + [functions.made(rng, nouns).schema for _ in range(others)]
    names = [schema["function"]["name"] for schema in found]
    found = [schema for i, schema in enumerate(found) if names[i] not in names[:i]]
    rng.shuffle(found)
    return found


def shuffled(chosen: list[Function], rng: random.Random) -> list[dict[str, Any]]:
    """The chosen functions alone, in any order."""
    return [function.schema for function in rng.sample(chosen, len(chosen))]


def _distinct(rng: random.Random, n: int, nouns: set[str]) -> list[Function]:
    found: list[Function] = []
    while len(found) < n:
        function = functions.made(rng, nouns)
        if function.name not in {other.name for other in found}:
            found.append(function)
    return found


def one(rng: random.Random) -> Conversation:
    """One call, or several one after the other as the user asks for them, at times with results and answers."""
    nouns: set[str] = set()
    turns = rng.choices((1, 2, 3, 4), (48, 29, 16, 7))[0]
    chosen = _distinct(rng, turns, nouns)
    schemas = schemas_with(chosen, nouns, rng) if turns == 1 or rng.random() < 0.2 else shuffled(chosen, rng)
    messages: list[Message] = []
    for i, function in enumerate(chosen):
        messages += [user(finished(function.asked, rng)), said(call_text(function.name, function.arguments))]
        if rng.random() < (0.25 if i < turns - 1 else 0.15):
            given, answer = outcome(function, rng)
            messages += [result(given), said(answer)]
    return messages, schemas


def again(rng: random.Random) -> Conversation:
    """The same function for two or three values: parallel calls, or, where only the first was made, the next."""
    key = rng.choice(("city", "name", "item", "id", "place", "user", "code", "path", "country", "file", word(rng), f"{word(rng)}_{rng.choice(NOUNS)}"))
    noun, draw = rng.choice(NOUNS), rng.choice((values.name, values.name, values.thing, values.code, values.integer))
    verb = rng.choice(("get", "find", "check", "delete", "open", "add", "show", "look up", "fetch", "order"))
    items: list[Any] = []
    while len(items) < rng.choice((2, 2, 2, 3)):
        value = draw(rng).json
        if value not in items:
            items.append(value)
    kind = "integer" if isinstance(items[0], int) else "string"
    name = f"{verb.replace(' ', '_')}_{noun}" if rng.random() < 0.8 else invented(rng)
    schema = {"type": "function", "function": {"name": name, "description": f"{verb.capitalize()} {rng.choice(('the', 'a'))} {noun}", "parameters": {"type": "object", "properties": {key: {"type": kind}}, "required": [key]}}}
    preposition = rng.choice(("of", "for", "in", "of"))
    asked = rng.choice((f"{verb} the {noun} {preposition} {_listed(items)}", f"what is the {noun} {preposition} {_listed(items)}", f"compare the {noun} {preposition} {_listed(items)}",
                        f"{verb} the {noun} {preposition} {f' and {preposition} '.join(map(str, items))}", f"I need the {noun} {preposition} both {_listed(items)}" if len(items) == 2 else f"{noun}: {_listed(items)}"))  # fmt: skip
    answers = [draw_result(rng) for _ in items]
    sentences = " ".join(f"The {noun} {preposition} {item} is {text}." for item, text in zip(items, answers, strict=True))
    calls = [call_text(name, {key: item}) for item in items]
    results = [result(str(text) if rng.random() < 0.5 else json.dumps({rng.choice((noun, "result", "value")): text}, ensure_ascii=False)) for text in answers]
    messages: list[Message] = [user(finished(asked, rng))]
    if rng.random() < 0.6:
        messages += [said("\n".join(calls)), *results]
    else:
        for i, (call, got) in enumerate(zip(calls, results, strict=True)):
            messages += [said(call, learnt=i > 0), got]
    messages.append(said(sentences))
    chosen = schemas_with([], {noun}, rng)
    chosen.insert(rng.randint(0, len(chosen)), schema)
    return messages, [s for s in chosen if s is schema or s["function"]["name"] != name]


def draw_result(rng: random.Random) -> Any:
    return rng.choice((values.integer, values.decimal, values.name, values.thing))(rng).json


def two(rng: random.Random) -> Conversation:
    """Two requests in one message for two functions."""
    nouns: set[str] = set()
    first, second = _distinct(rng, 2, nouns)
    schemas = schemas_with([first, second], nouns, rng)
    asked = first.asked.rstrip(".?!") + rng.choice(JOINTS)
    follow = second.asked[:1].upper() + second.asked[1:] if asked.endswith((". ", "? ")) else second.asked
    (given, answer), (also, other) = outcome(first, rng), outcome(second, rng)
    messages: list[Message] = [user(finished(asked + follow, rng))]
    calls = call_text(first.name, first.arguments), call_text(second.name, second.arguments)
    if rng.random() < 0.55:
        messages += [said("\n".join(calls)), result(given), result(also)]
    else:
        messages += [said(calls[0], learnt=False), result(given), said(calls[1]), result(also)]
    both = f"{answer}{'' if answer[-1] in '.!?' else '.'} {other}" if answer != other else answer
    return [*messages, said(both)], schemas


def chained(rng: random.Random) -> Conversation:
    """A second call that needs the first one's result."""
    nouns: set[str] = set()
    first, second = _distinct(rng, 2, nouns)
    draw = rng.choice((values.integer, values.integer, values.decimal, values.code, values.name, values.email))
    value = draw(rng).json
    kind = {int: "integer", float: "number", str: "string"}[type(value)]
    key = rng.choice(("value", "number", "x", "a", "amount", "input", "text", "id", "data", "to", word(rng), f"{word(rng)}_{rng.choice(NOUNS)}"))
    verb = rng.choice(("double", "convert", "send", "save", "print", "store", "round", "post", "log", "share", "translate", "multiply", "add", "check", invented(rng)))
    noun = rng.choice(NOUNS)
    properties: dict[str, Any] = {key: {"type": kind}}
    arguments: dict[str, Any] = {key: value}
    more = ""
    if rng.random() < 0.5:
        extra = rng.choice((values.integer, values.name, values.email, values.choice))(rng)
        other = rng.choice(("by", "b", "y", "to", "target", "with", "factor", word(rng)))
        if other != key:
            properties[other], arguments[other] = extra.schema, extra.json
            more = f" {rng.choice(('by', 'to', 'with', 'and'))} {extra.text}"
    name = rng.choice((f"{verb}_{noun}", verb, f"{verb}_{key}", fields_name(verb, noun)))
    schema = {"type": "function", "function": {"name": name, "description": f"{verb.capitalize()} {rng.choice(('a', 'the'))} {rng.choice((noun, key.replace('_', ' ')))}", "parameters": {"type": "object", "properties": properties, "required": list(properties)}}}
    if name == first.name:
        return one(rng)
    asked = first.asked.rstrip(".?!") + rng.choice((" and then ", " and ", ", then ", ". Then ")) + f"{verb} {rng.choice(('it', 'the result', 'that', f'the {noun}', 'the answer', 'this'))}{more}"
    given = rng.choice((str(value), json.dumps({rng.choice((word(rng), "result", "value", key)): value}, ensure_ascii=False), f"The {noun} is {value}", json.dumps({"status": "ok", noun: value}, ensure_ascii=False)))
    second_given, answer = outcome(second, rng)
    schemas = schemas_with([first], nouns, rng)
    schemas = [s for s in schemas if s["function"]["name"] != name]
    schemas.insert(rng.randint(0, len(schemas)), schema)
    return [
        user(finished(asked, rng)), said(call_text(first.name, first.arguments)), result(given),
        said(call_text(name, arguments)), result(second_given), said(answer),
    ], schemas  # fmt: skip


def fields_name(verb: str, noun: str) -> str:
    return verb + noun.capitalize()


OPERATIONS = (("add", "plus", "sum", "+"), ("multiply", "times", "product", "*"), ("subtract", "minus", "difference", "-"), ("divide", "divided by", "quotient", "/"))


def reckoning(rng: random.Random) -> Conversation:
    """Sums by functions, with one or two steps, as examples of agent libraries like them."""
    names = {}
    for word_, *_ in OPERATIONS:
        names[word_] = rng.choice((word_, word_, f"{word_}_numbers", f"{word_}_two", f"do_{word_}", f"{word_}_{invented(rng)}"))
    keys = rng.choice((("a", "b"), ("a", "b"), ("x", "y"), ("first", "second"), ("left", "right"), ("num1", "num2"), (invented(rng), invented(rng) + "2")))
    kind = rng.choice(("integer", "number"))

    def schema(which: str) -> dict[str, Any]:
        text = rng.choice((f"{which.capitalize()} two numbers", f"{which.capitalize()} two integers and return the result", f"{which.capitalize()}s {keys[0]} and {keys[1]}"))
        return {"type": "function", "function": {"name": names[which], "description": text, "parameters": {"type": "object", "properties": {key: {"type": kind} for key in keys}, "required": list(keys)}}}

    first, second = rng.sample(OPERATIONS, 2)
    a, b, c = (rng.randint(0, 10 ** rng.randint(1, 4)) for _ in range(3))
    got = {"+": a + b, "*": a * b, "-": a - b, "/": rng.randint(1, 900)}[first[3]]
    frame = rng.choice(("what is {a} {w} {b}", "{v} {a} and {b}", "{a} {s} {b}", "compute {a} {s} {b}", "how much is {a} {w} {b}", "calculate the {n} of {a} and {b}", "use the tool to {v} {a} and {b}"))
    asked = frame.format(a=a, b=b, v=first[0], w=first[1], n=first[2], s=first[3])
    messages: list[Message] = []
    offered = [schema(op[0]) for op in OPERATIONS if op in (first, second) or rng.random() < 0.3]
    rng.shuffle(offered)
    call = said(call_text(names[first[0]], {keys[0]: a, keys[1]: b}))
    if rng.random() < 0.5:
        return [user(finished(asked, rng)), call, result(str(got)), said(f"The result is {got}.")], offered
    then = rng.choice(("{v} the result {p} {c}", "{v} it {p} {c}", "{v} that {p} {c}")).format(v=second[0], p={"+": "with", "*": "by", "-": "by", "/": "by"}[second[3]] if second[0] != "add" else "to", c=c)
    final = rng.randint(0, 99999)
    messages = [user(finished(asked + rng.choice((", then ", " and then ", " and ", ". Then ")) + then, rng)), call, result(str(got)),
                said(call_text(names[second[0]], {keys[0]: got, keys[1]: c})), result(str(final)), said(f"The result is {final}.")]  # fmt: skip
    return messages, offered


def final(rng: random.Random) -> Conversation:
    """An answer through a function that is there for that alone."""
    nouns: set[str] = set()
    (function,) = _distinct(rng, 1, nouns)
    name, key = rng.choice((("final_answer", "answer"), ("final_result", "result"), ("final_answer", "answer"), ("submit_answer", "answer"), ("final_result", "response")))
    schema = {"type": "function", "function": {"name": name, "description": rng.choice(("Provides a final answer to the given problem.", "The final response which ends this conversation", "Give the final answer")), "parameters": {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]}}}
    given, answer = outcome(function, rng)
    schemas = [*schemas_with([function], nouns, rng), schema]
    return [user(finished(function.asked, rng)), said(call_text(function.name, function.arguments)), result(given), said(call_text(name, {key: answer}))], schemas


def unneeded(rng: random.Random) -> Conversation:
    """Functions are there, and none is needed."""
    nouns: set[str] = set()
    schemas = schemas_with(_distinct(rng, 1, nouns), nouns, rng)
    kind = rng.choices((questions, smalltalk, offtopic), (60, 25, 15))[0]
    asked, answer = kind.sample(rng)
    return [user(asked), said(answer)], schemas


KINDS = ((one, 78), (again, 5), (two, 4), (chained, 4), (reckoning, 2), (final, 1), (unneeded, 6))
_DRAWS, _SHARES = tuple(kind for kind, _ in KINDS), tuple(share for _, share in KINDS)


def sample(rng: random.Random) -> Conversation:
    """A conversation and the functions given with it."""
    messages, schemas = rng.choices(_DRAWS, _SHARES)[0](rng)
    if rng.random() < 0.12:
        messages.insert(0, {"role": "system", "content": expand(rng.choice(functions.SYSTEMS), rng)})
    return messages, schemas
