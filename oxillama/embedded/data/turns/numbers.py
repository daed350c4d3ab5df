"""Counting and short arithmetic."""

from __future__ import annotations

import random

from oxillama.embedded.data.text.noise import hasty
from oxillama.embedded.data.text.spintax import expand

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
SUMS_TO, PRODUCTS = 20, 10  # the largest numbers that are added or multiplied: so many a model of this size can learn
SUMS = (
    "{What is|How much is|Compute|Calculate|What's|Tell me} A OP B{?|}",
    "{How many are|Work out|Evaluate} A OP B{?|}",
    "A OP B{| =|= ?|?}",
    "{Can you add up|Please compute|I need the result of|Solve} A OP B{.|?|}",
)
COUNTS = (
    "Count {from A |}to B{.|, please.|}",
    "{Can|Could} you count {from A |}to B?",
    "{Please count|Count for me|Count up} {from A |}to B{.|}",
    "{List|Write|Say|Give me} the numbers {from A |from A }to B{.|}",
)


def sum_of_two(rng: random.Random) -> tuple[str, str]:
    """A sum, difference or product; the answer repeats it, so that it can be read off."""
    op = rng.choice("++--*")
    signs: tuple[str, ...]
    if op == "*":
        a, b = rng.randint(0, PRODUCTS), rng.randint(0, PRODUCTS)
        value, signs = a * b, ("*", "x", "times")
    else:
        a, b = rng.randint(0, SUMS_TO), rng.randint(0, SUMS_TO)
        if op == "-":
            a, b = max(a, b), min(a, b)
        value, signs = (a + b, ("+", "plus")) if op == "+" else (a - b, ("-", "minus"))
    words = max(a, b) <= 12 and rng.random() < 0.15
    shown = [WORDS[n] if words else str(n) for n in (a, b)]
    asked = expand(rng.choice(SUMS), rng).replace("A", shown[0]).replace("OP", rng.choice(signs))
    asked = asked.replace("B", shown[1]) if "B" in asked else asked
    sign = {"*": "times"}.get(op, {"+": "plus", "-": "minus"}.get(op, op))
    return hasty(asked, rng).strip(), f"{a} {sign} {b} is {value}."


def counting(rng: random.Random) -> tuple[str, str]:
    """Counting up, or down."""
    a = rng.choice((1, 1, 1, rng.randint(0, 30)))
    b = a + rng.randint(2, 14)
    if rng.random() < 0.25:
        a, b = rng.choice((1, 0)), rng.randint(3, 15)
        asked = rng.choice((f"Count down from {b} to {a}", f"Count backwards from {b} to {a}", f"Count from {b} down to {a}"))
        return hasty(asked + rng.choice((".", "", ", please.")), rng), ", ".join(map(str, range(b, a - 1, -1))) + "."
    template = rng.choice(COUNTS)
    asked = expand(template, rng)
    if "A" not in asked:
        b -= a - 1
        a = 1
    return hasty(asked.replace("A", str(a)).replace("B", str(b)), rng), ", ".join(map(str, range(a, b + 1))) + "."


def sample(rng: random.Random) -> tuple[str, str]:
    """One of the two, sums more often."""
    return counting(rng) if rng.random() < 0.35 else sum_of_two(rng)
