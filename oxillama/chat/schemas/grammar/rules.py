"""Grammar rules under construction: which of them can be met at all, and their text for llguidance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST_RULES = 8_000


class TooLargeError(ValueError):
    """A grammar with too many rules."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, by its number."""

    number: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """Several symbols in a row, as often as `least` to `most` says (None: without limit)."""

    symbols: tuple[Symbol, ...]
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Text:
    """A literal text."""

    text: str


Symbol = Text | str | Rule | Repeat
"""A literal, a Lark expression of one terminal, a rule or a repetition."""

Sequence_ = tuple[Symbol, ...]


class Rules:
    """Rules, each with its alternatives. A rule without alternatives admits nothing."""

    def __init__(self, prefix: str) -> None:
        """prefix: with what the names of rules begin."""
        self._prefix = prefix
        self._alternatives: list[list[Sequence_]] = []
        self._terminals: dict[str, str] = {}

    def rule(self, alternatives: Iterable[Sequence[Symbol]] = ()) -> Rule:
        """A new rule. Raises TooLargeError."""
        if len(self._alternatives) >= MOST_RULES:
            raise TooLargeError
        self._alternatives.append([tuple(one) for one in alternatives])
        return Rule(len(self._alternatives) - 1)

    def extend(self, rule: Rule, alternatives: Iterable[Sequence[Symbol]]) -> None:
        self._alternatives[rule.number] += [tuple(one) for one in alternatives]

    def terminal(self, expression: str) -> str:
        """The name of a terminal with this expression."""
        return self._terminals.setdefault(expression, f"{self._prefix.upper()}T{len(self._terminals)}")

    def admits(self, rule: Rule) -> bool:
        """Whether any text meets the rule."""
        return rule.number in self._productive()

    def text(self, start: Rule) -> str:
        """The rules that `start` needs, one a line; the first is that of `start` and has the prefix as its name.

        It must admit something.
        """
        productive = self._productive()
        names: dict[int, str] = {start.number: self._prefix}
        waiting, lines = [start.number], []
        while waiting:
            number = waiting.pop()
            shown = []
            for alternative in dict.fromkeys(self._alternatives[number]):
                if self._meets(alternative, productive):
                    shown.append(self._shown(alternative, productive, names, waiting))
            lines.append(f"{names[number]}: {' | '.join(dict.fromkeys(shown))}")
        used = "\n".join(lines)
        terminals = [f"{name}: {expression}" for expression, name in self._terminals.items() if name in used]
        return "\n".join([*lines, *terminals])

    def _productive(self) -> set[int]:
        found: set[int] = set()
        users: dict[int, set[int]] = {}
        for number, alternatives in enumerate(self._alternatives):
            for alternative in alternatives:
                for needed in _needed(alternative):
                    users.setdefault(needed, set()).add(number)
        waiting = list(range(len(self._alternatives)))
        while waiting:
            number = waiting.pop()
            if number not in found and any(self._meets(one, found) for one in self._alternatives[number]):
                found.add(number)
                waiting += users.get(number, ())
        return found

    def _meets(self, symbols: Sequence_, productive: set[int]) -> bool:
        return all(needed in productive for needed in _needed(symbols))

    def _shown(self, symbols: Sequence_, productive: set[int], names: dict[int, str], waiting: list[int]) -> str:
        parts: list[str] = []
        for symbol in symbols:
            if isinstance(symbol, Text):
                parts.append(quoted(symbol.text))  # one by one: the lexer does not go back to the middle of a terminal
            elif isinstance(symbol, Rule):
                if symbol.number not in names:
                    names[symbol.number] = f"{self._prefix}_{len(names)}"
                    waiting.append(symbol.number)
                parts.append(names[symbol.number])
            elif isinstance(symbol, Repeat):
                if self._meets(symbol.symbols, productive) and symbol.most != 0:
                    inner = self._shown(symbol.symbols, productive, names, waiting)
                    parts.append(f"({inner}){_count(symbol.least, symbol.most)}")
            else:
                parts.append(symbol)
        return " ".join(parts) or '""'


def _needed(symbols: Sequence_) -> Iterable[int]:
    for symbol in symbols:
        if isinstance(symbol, Rule):
            yield symbol.number
        elif isinstance(symbol, Repeat) and symbol.least:
            yield from _needed(symbol.symbols)


def _count(least: int, most: int | None) -> str:
    if most is None and least < 2:
        return "+" if least else "*"
    if (least, most) == (0, 1):
        return "?"
    return f"{{{least},{'' if most is None else most}}}"


def quoted(text: str) -> str:
    """A literal of llguidance's Lark, which reads strings as JSON does."""
    return json.dumps(text, ensure_ascii=False)
