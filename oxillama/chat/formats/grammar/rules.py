"""Grammar rules for the values of arguments, collected for one reply's calls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oxillama.chat.schemas.pattern import PatternError, plain_pattern

if TYPE_CHECKING:
    from oxillama.chat.formats.grammar.document import Document, Place
    from oxillama.chat.formats.shape import Lark

ANY_TEXT = r"/(.|\n)*/"  # but no special tokens
_LONGEST = 4096
_MOST_SCHEMAS = 500


class Rules:
    """The rules so far, and the keywords that they do not enforce."""

    def __init__(self, lark: Lark) -> None:
        self.lark = lark
        self.lines: list[str] = []
        self.unenforced: list[tuple[str, str]] = []
        self._rules: dict[str, str] = {}
        self._terminals: dict[str, str] = {}
        self._fresh = 0

    def rule(self, expression: str) -> str:
        """The name of a rule for the expression."""
        if expression not in self._rules:
            self._rules[expression] = name = f"call_r{len(self._rules)}"
            self.lines.append(f"{name}: {expression}")
        return self._rules[expression]

    def fresh(self) -> str:
        """The name of a rule that the caller writes."""
        self._fresh += 1
        return f"call_n{self._fresh}"

    def terminal(self, expression: str) -> str:
        """The name of a terminal for the expression."""
        if expression not in self._terminals:
            self._terminals[expression] = name = f"CALL_T{len(self._terminals)}"
            self.lines.append(f"{name}: {expression}")
        return self._terminals[expression]

    def refuse(self, place: Place, *keywords: str) -> None:
        """Note keywords that the grammar does not enforce."""
        self.unenforced += [(place.pointer, keyword) for keyword in keywords]

    def text(self, end: str, *conditions: str, without: Iterable[str] = (), never: Iterable[str] = ()) -> str:
        """The expression for a text with its end.

        conditions: regular expressions that the text must match as well. without: regular expressions that it must not
        contain if no special token ends it. never: those that it must not contain anyway.
        """
        before, special = self.lark.split(end)
        barred = [f"~/(.|\\n)*({'|'.join(never)})(.|\\n)*/"] if never else []
        inside = " & ".join([ANY_TEXT, *(f"/{condition}/" for condition in conditions), *barred])
        if special:
            return self.terminal(f"({inside}) {literal(before)}" if before else inside) + f" {special}"
        return self.terminal(f"({inside} & ~/(.|\\n)*({'|'.join(without)})(.|\\n)*/) {literal(end)}")

    def conditions(self, place: Place) -> list[str]:
        """The regular expressions for the keywords of a string; those without one are noted."""
        found = []
        shortest, longest = place.keyword("minLength", int) or 0, place.keyword("maxLength", int)
        if shortest or longest is not None:
            if max(shortest, longest or 0) <= _LONGEST and shortest <= (longest if longest is not None else shortest):
                found.append(f"(.|\\n){{{shortest},{'' if longest is None else longest}}}")
            else:
                self.refuse(place, "minLength" if longest is None else "maxLength")
        if (pattern := place.keyword("pattern", str)) is not None:
            try:
                found.append(plain_pattern(pattern))
            except PatternError:
                self.refuse(place, "pattern")
        return found

    def sequence(self, name: str, parts: Sequence[tuple[str, bool]], separator: str) -> str:
        """The name of a rule for parts in order, separated; each part with whether it must be there."""
        follow, begin = "", ""
        for at in range(len(parts), -1, -1):
            if at == len(parts):
                self.lines += [f'{name}_m{at}: ""', f'{name}_b{at}: ""']
            else:
                part, required = parts[at]
                for state, lead in (("m", separator), ("b", "")):
                    options = [f"{lead} {part} {name}_m{at + 1}"] + ([] if required else [f"{name}_{state}{at + 1}"])
                    self.lines.append(f"{name}_{state}{at}: {' | '.join(options)}")
            follow, begin = f"{name}_m{at}", f"{name}_b{at}"
        return begin if parts else follow


def literal(text: str) -> str:
    """The expression for a text without special tokens."""
    return json.dumps(text, ensure_ascii=False)


def regex(text: str) -> str:
    """A regular expression for a text, as it stands between slashes."""
    return re.sub(r"([\\.+*?()|\[\]{}^$/])", r"\\\1", text).replace("\n", r"\n")


def enumerated(place: Place) -> list[Any] | None:
    """The values that a schema lists; None: it does not."""
    if isinstance(place.schema, Mapping) and "const" in place.schema:
        return [place.schema["const"]]
    values = place.keyword("enum", Sequence)
    return list(values) if values else None


def beyond(place: Place, document: Document) -> list[tuple[Place, str]]:
    """The keywords that restrict the values of a schema beyond their types, in its alternatives as well."""
    found: list[tuple[Place, str]] = []
    waiting, seen = [place], {place.pointer}
    while waiting:
        here = waiting.pop(0)
        for keyword in here.asserted:
            branches = here.keyword(keyword, Sequence) if keyword in ("anyOf", "oneOf") else None
            if branches is None:
                found.append((here, keyword))
                continue
            for at in range(len(branches)):
                inner = document.followed(here.at(keyword, at))
                if len(seen) > _MOST_SCHEMAS:
                    return [*found, (here, keyword)]
                if inner.pointer not in seen:  # else a schema that contains itself would have no end
                    seen.add(inner.pointer)
                    waiting.append(inner)
    return found


def of_object(place: Place) -> list[str]:
    """The keywords of an object that a list of its declared properties in order does not enforce."""
    heeded = ("properties", "required", "additionalProperties", "unevaluatedProperties")
    least = place.keyword("minProperties", int)
    enough = least is not None and least <= len(place.keyword("required", Sequence) or ())
    return [key for key in place.asserted if key not in heeded and not (key == "minProperties" and enough)]
