"""What the rules for values of one type need of the whole grammar: other values, punctuation and literals."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

from oxillama.chat.schemas.document import SchemaError
from oxillama.chat.schemas.grammar.rules import Rule, Rules, Symbol, Text
from oxillama.chat.schemas.values import type_of

if TYPE_CHECKING:
    from oxillama.chat.schemas.branches import Expander
    from oxillama.chat.schemas.parts import Conditions

Spacing = Literal["none", "spaced", "single", "free"]
"""White space between JSON's tokens. "none"; "spaced": a space after each comma and colon; "single": such spaces where
the model wants them; "free": any white space, up to 40 characters."""

_BETWEEN: dict[Spacing, str] = {"single": "/ ?/", "free": r"/[ \t\n\r]{0,40}/"}


class Context(ABC):
    """A grammar under construction. path: that of the schema whose rule is being written, for errors."""

    def __init__(self, expander: Expander, rules: Rules, spacing: Spacing) -> None:
        self.expander = expander
        self.rules = rules
        self.path = ""
        self._spacing: Spacing = spacing

    @abstractmethod
    def value(self, conditions: Conditions) -> Rule:
        """The rule for the values that meet the conditions. It may be written later."""

    def unsupported(self, keyword: str, reason: str) -> SchemaError:
        """An error about a keyword of the schema whose rule is being written."""
        return SchemaError(keyword, self.path, reason)

    def _around(self, before: bool, text: str, after: bool) -> tuple[Symbol, ...]:
        if self._spacing == "none":
            return (Text(text),)
        if self._spacing == "spaced":
            return (Text(f"{text} " if text in ",:" else text),)
        blank = self.rules.terminal(_BETWEEN[self._spacing])
        free = self._spacing == "free"
        return (
            *((blank,) if before and free else ()),
            Text(text),
            *((blank,) if after and (free or text in ",:") else ()),
        )

    @property
    def comma(self) -> tuple[Symbol, ...]:
        return self._around(True, ",", True)

    @property
    def colon(self) -> tuple[Symbol, ...]:
        return self._around(True, ":", True)

    def opening(self, text: str) -> tuple[Symbol, ...]:
        return self._around(False, text, True)

    def closing(self, text: str) -> tuple[Symbol, ...]:
        return self._around(True, text, False)

    def literal(self, value: Any) -> tuple[Symbol, ...]:
        """A JSON value as its text."""
        kind = type_of(value)
        if kind == "array":
            items = [self.literal(item) for item in value]
            return (*self.opening("["), *self._listed(items), *self.closing("]"))
        if kind == "object":
            members = [
                (Text(json.dumps(name, ensure_ascii=False)), *self.colon, *self.literal(v)) for name, v in value.items()
            ]
            return (*self.opening("{"), *self._listed(members), *self.closing("}"))
        if isinstance(value, float) and value == value // 1 and abs(value) < 1e16:
            value = int(value)
        return (Text(json.dumps(value, ensure_ascii=False)),)

    def _listed(self, items: list[tuple[Symbol, ...]]) -> list[Symbol]:
        return [symbol for i, item in enumerate(items) for symbol in ((*self.comma, *item) if i else item)]
