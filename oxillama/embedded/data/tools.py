"""Function calls: questions that one of the given functions answers, and what to say when its result is there."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from oxillama.embedded.data import questions
from oxillama.embedded.data.questions import careless
from oxillama.embedded.data.spintax import expand
from oxillama.embedded.data.words import CITIES, NAMES, THINGS

Message = dict[str, Any]
Use = tuple[str, dict[str, Any], Any, str]  # question, arguments, result, answer


def _weather(rng: random.Random) -> Use:
    city, degrees, sky = rng.choice(CITIES), rng.randint(-9, 35), rng.choice(("sunny", "cloudy", "rainy", "windy", "foggy"))
    asked = expand("{What is|What's|How is|Tell me} the {weather|weather like|temperature} in @{?|}|Is it {warm|cold|raining|sunny} in @?|Weather in @{?|}", rng)
    return asked.replace("@", city), {"city": city}, {"degrees": degrees, "sky": sky}, f"It is {degrees} degrees and {sky} in {city}."


def _time(rng: random.Random) -> Use:
    city, clock = rng.choice(CITIES), f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
    asked = expand("{What time is it|What is the time|Tell me the time|How late is it|What's the time} in @{?|}", rng)
    return asked.replace("@", city), {"city": city}, {"time": clock}, f"It is {clock} in {city}."


def _timer(rng: random.Random) -> Use:
    minutes = rng.randint(1, 60)
    asked = expand("{Set|Start|Make} a timer {for|of} @ minutes{.|, please.|}|{Wake|Remind|Call} me in @ minutes{.|}|Timer: @ minutes", rng)
    return asked.replace("@", str(minutes)), {"minutes": minutes}, {"ok": True}, f"The timer is set for {minutes} minutes."


def _lamp(rng: random.Random) -> Use:
    room, on = rng.choice(("kitchen", "bedroom", "garden", "office", "hall", "bathroom", "garage", "attic")), rng.random() < 0.5
    state = "on" if on else "off"
    asked = expand("{Turn|Switch} {the @ light STATE|STATE the light in the @}{.|, please.|}|{The @ light STATE|Light STATE in the @}{.|, please.|}", rng)
    return asked.replace("@", room).replace("STATE", state), {"room": room, "on": on}, {"ok": True}, f"The {room} light is {state}."


def _message(rng: random.Random) -> Use:
    name = rng.choice(NAMES)
    text = rng.choice(("I am late", "Happy birthday", "Call me", "See you tomorrow", "Dinner is ready", "Thank you", "I am home", "Good night"))
    asked = expand("{Send|Write} @ {the message|a message}: TEXT{.|}|{Tell|Text} @: TEXT{.|}", rng)
    return asked.replace("@", name).replace("TEXT", text), {"to": name, "text": text}, {"ok": True}, f"I sent {name} the message."


def _price(rng: random.Random) -> Use:
    thing, price = rng.choice(THINGS), rng.randint(2, 900)
    asked = expand("{How much {is|does|costs}|What is the price of|What costs|Price of} {a|the} @{?|}", rng)
    return asked.replace("@", thing), {"item": thing}, {"price": price}, f"The {thing} costs {price}."


def _schema(name: str, description: str, **properties: str) -> dict[str, Any]:
    fields = {key: {"type": kind} for key, kind in properties.items()}
    parameters = {"type": "object", "properties": fields, "required": list(fields)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


Entry = tuple[tuple[str, ...], Callable[[random.Random], Use], str, dict[str, str]]
TOOLS: tuple[Entry, ...] = (
    (("get_weather", "weather", "get_current_weather"), _weather, "The weather in a city", {"city": "string"}),
    (("get_time", "current_time", "clock"), _time, "The time in a city", {"city": "string"}),
    (("set_timer", "timer", "start_timer"), _timer, "Start a timer", {"minutes": "integer"}),
    (("switch_light", "set_light", "light"), _lamp, "Switch a light", {"room": "string", "on": "boolean"}),
    (("send_message", "message"), _message, "Send a message", {"to": "string", "text": "string"}),
    (("get_price", "price", "lookup_price"), _price, "The price of a thing", {"item": "string"}),
)


def call_text(name: str, arguments: dict[str, Any]) -> str:
    """A call as the model writes it."""
    return "<tool_call>\n" + json.dumps({"name": name, "arguments": arguments}) + "\n</tool_call>"


def sample(rng: random.Random) -> tuple[list[Message], list[dict[str, Any]]]:
    """A conversation and the functions given with it."""
    entries = rng.sample(TOOLS, rng.choice((1, 1, 2, 2, 3)))
    named = [(rng.choice(names), use, text, properties) for names, use, text, properties in entries]
    schemas = [_schema(name, text, **properties) for name, _, text, properties in named]
    if rng.random() < 0.15:  # functions are there, and none is needed
        asked, answer = questions.sample(rng)
        return [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}], schemas
    name, use, _, _ = rng.choice(named)
    asked, arguments, result, answer = use(rng)
    messages: list[Message] = [
        {"role": "user", "content": careless(asked, rng) if name != "send_message" else asked},
        {"role": "assistant", "content": call_text(name, arguments)},
    ]
    if rng.random() < 0.5:
        messages += [{"role": "tool", "content": json.dumps(result)}, {"role": "assistant", "content": answer}]
    return messages, schemas
