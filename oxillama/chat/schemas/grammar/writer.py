"""From a JSON schema to grammar rules: a rule for each set of conditions, with an alternative for each branch and type.

The rules admit only texts that match the schema. Where members' names are listed, they come in the order of the schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oxillama.chat.schemas.branches import Expander
from oxillama.chat.schemas.document import Document, SchemaError
from oxillama.chat.schemas.grammar.arrays import array_rules
from oxillama.chat.schemas.grammar.context import Context, Spacing
from oxillama.chat.schemas.grammar.numbers import number_symbols
from oxillama.chat.schemas.grammar.objects import object_rules
from oxillama.chat.schemas.grammar.rules import Rule, Rules, Symbol, Text, TooLargeError
from oxillama.chat.schemas.grammar.strings import string_symbol
from oxillama.chat.schemas.keywords import MOST_VALUES
from oxillama.chat.schemas.parts import Branch, Conditions, Literal
from oxillama.chat.schemas.pattern import spelled_text
from oxillama.chat.schemas.values import key_of, same, type_of

MOST_ALTERNATIVES = 500
"""Values that are written one by one."""


def _expression(text: str) -> str:
    return f'"{spelled_text(text)}"'


@dataclass(frozen=True, slots=True)
class SchemaGrammar:
    """Rules for the JSON texts of a schema. name: that of the first rule. left_out: (keyword, path) of what they do not
    enforce."""

    rules: str
    name: str
    left_out: tuple[tuple[str, str], ...] = ()


def schema_grammar(
    schema: Mapping[str, Any] | bool, *, name: str = "json", spacing: Spacing = "none", lenient: bool = False
) -> SchemaGrammar:
    """The rules for the texts that match a schema. name: of the first rule; the others' names begin with it.

    lenient: what a grammar cannot express is left out.

    Raises SchemaError, naming the keyword and its path, for a schema that cannot be honoured, that admits no value or
    that is too large.
    """
    document = Document(schema)
    writer = Writer(document, name, spacing, lenient=lenient)
    try:
        start = writer.value(frozenset({Literal(document.root)}))
    except TooLargeError:
        raise SchemaError("", "", "needs a grammar that is too large") from None
    except RecursionError:
        raise SchemaError("", "", "is nested too deeply") from None
    if not writer.rules.admits(start):
        raise SchemaError("", "", "admits no value")
    return SchemaGrammar(writer.rules.text(start), name, tuple(writer.expander.left_out))


class Writer(Context):
    """Writes the rules of one document."""

    def __init__(self, document: Document, name: str, spacing: Spacing, *, lenient: bool) -> None:
        super().__init__(Expander(document, lenient=lenient), Rules(name), spacing)
        self._values: dict[Conditions, Rule] = {}
        self._waiting: list[tuple[Rule, Conditions]] = []
        self._busy = False
        self._n_values = 0

    def value(self, conditions: Conditions) -> Rule:
        """The rule for the values that meet the conditions. It may be written later."""
        rule = self._values.get(conditions)
        if rule is None:
            rule = self._values[conditions] = self.rules.rule()
            self._waiting.append((rule, conditions))
        if not self._busy:
            self._busy = True
            while self._waiting:
                self._write(*self._waiting.pop())
            self._busy = False
        return rule

    def _write(self, rule: Rule, conditions: Conditions) -> None:
        self.path = min((one.place.path for one in conditions if isinstance(one, Literal)), default="")
        listed: list[Any] = []
        for branch in self.expander.branches(conditions):
            if branch.values is not None:
                listed += [value for value in branch.values if self.expander.holds(conditions, value)]
            else:
                self.rules.extend(rule, self._alternatives(branch))
        unique = {key_of(value): value for value in listed}
        self._n_values += len(unique)
        if self._n_values > MOST_VALUES:
            raise SchemaError("enum", self.path, f"has more than {MOST_VALUES} values")
        texts = [value for value in unique.values() if isinstance(value, str)]
        if len(texts) > MOST_ALTERNATIVES:  # an automaton, where llguidance would follow each of them by itself
            self.rules.extend(rule, [(self.rules.terminal(f"/{'|'.join(map(_expression, texts))}/"),)])
            unique = {key: value for key, value in unique.items() if not isinstance(value, str)}
            if len(unique) > MOST_ALTERNATIVES:
                raise SchemaError("enum", self.path, f"has more than {MOST_ALTERNATIVES} values beside texts")
        self.rules.extend(rule, (self.literal(value) for value in unique.values()))

    def _alternatives(self, branch: Branch) -> list[tuple[Symbol, ...]]:
        found: list[tuple[Symbol, ...]] = []
        excluded = [value for value, _ in branch.excluded]
        for value, place in branch.excluded:
            if type_of(value) in ("array", "object") and type_of(value) in branch.types:
                self.expander.refuse(place.error("not", "excludes a value that is no text, number or word"))
        for value in (None, False, True):
            if type_of(value) in branch.types and not any(same(value, one) for one in excluded):
                found.append((Text(json.dumps(value)),))
        if "number" in branch.types:
            found += number_symbols(self, branch.numbers)
        if "string" in branch.types:
            texts = [value for value in excluded if isinstance(value, str)]
            found.append((string_symbol(self, branch.strings, texts),))
        if "array" in branch.types:
            found += array_rules(self, branch.arrays)
        if "object" in branch.types:
            found += object_rules(self, branch.objects)
        return found
