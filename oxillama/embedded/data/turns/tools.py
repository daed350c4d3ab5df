"""Function calls: questions that one of the given functions answers, and what to say when its result is there."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from oxillama.embedded.chat import call_text
from oxillama.embedded.data.text.noise import hasty
from oxillama.embedded.data.text.spintax import expand
from oxillama.embedded.data.text.words import ANIMALS, CITIES, FOODS, LANGUAGES, NAMES, SUBJECTS, THINGS
from oxillama.embedded.data.turns import questions

ROOMS = ("kitchen", "bedroom", "garden", "office", "hall", "bathroom", "garage", "attic", "cellar", "workshop", "library")
SONGS = ("Yellow Moon", "The River", "Summer Rain", "Old Road", "Silver Bells", "Blue Train", "Winter Song", "Night Walk", "Green Hills", "First Light")
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
    room, on = rng.choice(ROOMS), rng.random() < 0.5
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


def _degrees(rng: random.Random) -> Use:
    room, degrees = rng.choice(ROOMS), rng.randint(5, 30)
    asked = expand("{Set|Turn|Heat|Warm} the @ {to|up to} N degrees{.|, please.|}|Make it N degrees in the @{.|}|N degrees in the @{, please|.|}", rng)
    return asked.replace("@", room).replace("N", str(degrees)), {"room": room, "degrees": degrees}, {"ok": True}, f"The {room} is set to {degrees} degrees."


def _play(rng: random.Random) -> Use:
    song = rng.choice(SONGS)
    asked = expand("{Play|Put on|I want to hear|Let me hear|Start} {|the song |some }@{.|, please.|}|Can you play @?|Music: @", rng)
    return asked.replace("@", song), {"title": song}, {"ok": True}, f"Now playing: {song}."


def _route(rng: random.Random) -> Use:
    a, b = rng.sample(CITIES, 2)
    km = rng.randint(40, 9000)
    asked = expand("{How far is it|What is the way|What's the distance|How do I get|Find a route} from A1 to B1{?|}|{Route|Distance} from A1 to B1{?|}", rng)
    return asked.replace("A1", a).replace("B1", b), {"start": a, "goal": b}, {"km": km}, f"It is {km} km from {a} to {b}."


def _list(rng: random.Random) -> Use:
    food = rng.choice(FOODS)
    asked = expand("{Put|Add|Write} @ {on|to} {my|the} {shopping list|list}{.|, please.|}|{Remember to buy|I need to buy|We are out of} @{.|}", rng)
    return asked.replace("@", food), {"item": food}, {"ok": True}, f"{food.capitalize()} is on the list."


def _search(rng: random.Random) -> Use:
    topic, n = rng.choice(SUBJECTS), rng.randint(2, 90)
    asked = expand("{Search|Look|Search the web|Google} for @{.|, please.|}|{Find|Search} {pages|articles|something|books} {about|on} @{.|}|Look up @{.|}", rng)
    return asked.replace("@", topic), {"query": topic}, {"results": n}, f"I found {n} results for {topic}."


def _alarm(rng: random.Random) -> Use:
    clock = f"{rng.randint(5, 22):02}:{rng.choice((0, 15, 30, 45)):02}"
    asked = expand("{Set|Make} an alarm {for|at} @{.|, please.|}|Wake me {up |}at @{.|, please.|}|Alarm at @{.|}|I have to get up at @{.|}", rng)
    return asked.replace("@", clock), {"time": clock}, {"ok": True}, f"The alarm is set for {clock}."


def _phone(rng: random.Random) -> Use:
    name = rng.choice(NAMES)
    asked = expand("{Call|Phone|Ring|Dial} @{.|, please.|}|{What is|What's|Find} the {phone number|number} of @{?|}|I want to {talk to|call|phone} @{.|}", rng)
    return asked.replace("@", name), {"name": name}, {"ok": True}, f"I am calling {name}."


def _translate(rng: random.Random) -> Use:
    word, language = rng.choice(THINGS + ANIMALS), rng.choice(LANGUAGES)
    asked = expand("{Translate|Put} {the word |}@ {into|to} LANG{.|, please.|}|{What is|What's} {the word for |}@ in LANG{?|}|How do you say @ in LANG{?|}", rng)
    result = rng.choice(FOODS)
    return asked.replace("@", word).replace("LANG", language), {"word": word, "language": language}, {"text": result}, f"In {language} it is {result}."


def _table(rng: random.Random) -> Use:
    city, people = rng.choice(CITIES), rng.randint(2, 9)
    asked = expand("{Book|Reserve|Get|Find} {me |us |}a table for N in @{.|, please.|}|{A table|Dinner} for N in @{, please|.|}", rng)
    return asked.replace("N", str(people), 1).replace("@", city), {"city": city, "people": people}, {"ok": True}, f"I booked a table for {people} in {city}."


def _schema(name: str, description: str, properties: dict[str, str]) -> dict[str, Any]:
    fields = {key: {"type": kind} for key, kind in properties.items()}
    parameters = {"type": "object", "properties": fields, "required": list(fields)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


# Names it may have, the use, descriptions, and the parameters' types.
Entry = tuple[tuple[str, ...], Callable[[random.Random], Use], str, dict[str, str]]
TOOLS: tuple[Entry, ...] = (
    (("get_weather", "weather", "get_current_weather", "forecast"), _weather, "{The|Get the|Current} weather {in|of|for} a city", {"city": "string"}),
    (("get_time", "current_time", "clock", "local_time"), _time, "{The|Get the|Local} time in a city", {"city": "string"}),
    (("set_timer", "timer", "start_timer", "countdown"), _timer, "{Start|Set} a timer", {"minutes": "integer"}),
    (("switch_light", "set_light", "light", "lamp"), _lamp, "{Switch|Turn on or off} a light", {"room": "string", "on": "boolean"}),
    (("send_message", "message", "text_person"), _message, "{Send|Write} a message{| to a person}", {"to": "string", "text": "string"}),
    (("get_price", "price", "lookup_price", "product_price"), _price, "{The|Look up the} price of {a thing|an item}", {"item": "string"}),
    (("set_temperature", "heating", "heat_room"), _degrees, "{Set|Change} the {temperature|heating} of a room", {"room": "string", "degrees": "integer"}),
    (("play_music", "play_song", "music", "player"), _play, "{Play|Start} {a song|music}", {"title": "string"}),
    (("get_route", "route", "find_route", "distance"), _route, "{The|Find the} {way|distance} between two cities", {"start": "string", "goal": "string"}),
    (("add_to_list", "shopping_list", "add_item"), _list, "{Add to|Put on} the shopping list", {"item": "string"}),
    (("web_search", "search", "search_web", "find"), _search, "{Search|Look in} the web", {"query": "string"}),
    (("set_alarm", "alarm", "wake_up"), _alarm, "{Set|Make} an alarm", {"time": "string"}),
    (("call_person", "phone", "dial", "make_call"), _phone, "{Call|Phone} {a person|somebody}", {"name": "string"}),
    (("translate", "translate_word", "dictionary"), _translate, "{Translate|Look up} a word", {"word": "string", "language": "string"}),
    (("book_table", "reserve", "restaurant"), _table, "{Book|Reserve} a table in a restaurant", {"city": "string", "people": "integer"}),
)




def sample(rng: random.Random) -> tuple[list[Message], list[dict[str, Any]]]:
    """A conversation and the functions given with it."""
    entries = rng.sample(TOOLS, rng.choice((1, 1, 1, 2, 2, 3)))
    named = [(rng.choice(names), use, expand(text, rng), properties) for names, use, text, properties in entries]
    schemas = [_schema(name, text, properties) for name, _, text, properties in named]
    if rng.random() < 0.12:  # functions are there, and none is needed
        asked, answer = questions.sample(rng)
        return [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}], schemas
    name, use, _, _ = rng.choice(named)
    asked, arguments, result, answer = use(rng)
    messages: list[Message] = [
        {"role": "user", "content": hasty(asked, rng) if use is not _message else asked},
        {"role": "assistant", "content": call_text(name, arguments)},
    ]
    if rng.random() < 0.5:
        messages += [{"role": "tool", "content": json.dumps(result)}, {"role": "assistant", "content": answer}]
    return messages, schemas
