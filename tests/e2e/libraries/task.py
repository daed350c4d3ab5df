"""What all scripts ask for. The scripted model (`tests/e2e/test_libraries.py`) knows nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable

QUESTION = "How warm is it in Paris, in Fahrenheit?"
WARMTH = "70.475"
ASKED_FORM = "Describe Paris as a city."
RIVER_QUESTION = "Which river flows through Vienna?"
RIVERS = "# Rivers\n\nThe Danube flows through Vienna, Bratislava and Budapest.\n"
RIVER = "It is the Danube"
MODEL = "scripted"


def weather(city: str) -> str:
    """The weather of a city, in degrees Celsius."""
    assert city == "Paris", city
    return "21.375"


def fahrenheit(celsius: float) -> str:
    """Degrees Celsius as degrees Fahrenheit."""
    assert float(celsius) == 21.375, celsius
    return WARMTH


def base_url() -> str:
    return f"{sys.argv[1]}/v1"


def check_warmth(name: str, answer: object) -> None:
    """The answer comes from the second tool, which had its argument from the first one."""
    assert WARMTH in str(answer), answer
    print("ok", name, flush=True)


def check_river(name: str, answer: object) -> None:
    """The answer comes from the file."""
    assert RIVER in str(answer), answer
    print("ok", name, flush=True)


def check_city(name: str, city: object, get: Callable[[object, str], object] = getattr) -> None:
    assert (get(city, "name"), get(city, "population")) == ("Paris", 2102650), city
    print("ok", name, flush=True)
