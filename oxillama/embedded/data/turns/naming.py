"""Names for animals and things, and lists of a kind of word."""

from __future__ import annotations

import random

from oxillama.embedded.data.text.noise import careless
from oxillama.embedded.data.text.spintax import expand
from oxillama.embedded.data.text.words import ANIMALS, FOODS, NAMES, THINGS
from oxillama.embedded.data.turns.questions import capital

KINDS: dict[str, tuple[str, ...]] = {
    "animals": ANIMALS,
    "colours": ("red", "green", "blue", "yellow", "white", "black", "brown", "orange", "pink", "purple", "grey", "gold"),
    "fruits": ("apple", "pear", "plum", "cherry", "peach", "lemon", "orange", "banana", "grape", "melon", "fig", "mango"),
    "foods": FOODS[:20],
    "things": THINGS[:30],
    "rivers": ("Nile", "Rhine", "Danube", "Amazon", "Volga", "Thames", "Seine", "Ganges", "Elbe", "Congo", "Mekong", "Po"),
    "days": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "months": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"),
    "trees": ("oak", "pine", "birch", "maple", "willow", "beech", "ash", "fir", "elm", "lime", "cedar", "poplar"),
    "birds": ("owl", "crow", "eagle", "sparrow", "robin", "swan", "duck", "stork", "finch", "gull", "heron", "swift"),
    "vegetables": ("carrot", "potato", "onion", "bean", "pea", "leek", "cabbage", "tomato", "spinach", "pumpkin", "beet", "radish"),
    "planets": ("Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"),
    "names": NAMES,
}
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}
FANCY = ("Pebble", "Comet", "Juniper", "Biscuit", "Marble", "Willow", "Pepper", "Cosmo", "Hazel", "Ember", "Pixel", "Clover",
         "Saffron", "Nimbus", "Tango", "Olive", "Rocket", "Maple", "Echo", "Velvet")  # fmt: skip


def sample(rng: random.Random) -> tuple[str, str]:
    """A request for a name or for some words of a kind."""
    if rng.random() < 0.4:
        what = rng.choice((*ANIMALS[:24], "boat", "robot", "laptop", "bicycle", "server", "band", "car", "ship", "doll", "kitten", "puppy"))
        asked = expand("{Name my|Give me a name for my|Find a name for my|What should I call my|I need a name for a|"
                       "Suggest a name for my|What is a good name for a} {|new |little |old }", rng) + what  # fmt: skip
        ends = "?" if asked.startswith("What") else "."
        return careless(asked + ends, rng), f"How about {rng.choice(FANCY)}?"
    kind = rng.choice(list(KINDS))
    n = rng.choice(list(NUMBERS))
    shown = rng.choice((str(n), NUMBERS[n], NUMBERS[n]))
    asked = expand("{Name|List|Give me|Tell me|Write down|Can you name} ", rng) + f"{shown} {kind}"
    words = rng.sample(KINDS[kind], n)
    ends = "?" if asked.startswith("Can") else rng.choice((".", "", ", please."))
    return careless(asked + ends, rng), capital(", ".join(words[:-1]) + " and " + words[-1] + ".")
