"""llguidance's descriptions of what is wrong with a grammar, as errors of one line."""

from __future__ import annotations

import re

from oxillama.engine.api.constraint import GrammarError

_MOST_SHOWN = 300
_EXCERPT = re.compile(r"\n *\d+ \|.*(?:\n *\^+ *(?=\n|$))?")
_REGEX = re.compile(
    r'invalid regex ".*?" \(in regex\): '
    r"(?:regex parse error:\n {4}.*\n {4}(?P<before> *)\^.*\nerror: (?P<parsed>.*)|(?P<other>.*))"
)


def grammar_error(problem: str) -> GrammarError:
    """The error for llguidance's description, without the lines of the grammar, which its author may not know."""
    described = _EXCERPT.sub("", problem)
    found = _REGEX.search(described)
    if found is None:
        return GrammarError(_line(described))
    regex = _line(found["parsed"] or found["other"])
    at = None if found["before"] is None else len(found["before"])
    return GrammarError(_line(f"{described[: found.start()]}invalid regular expression: {regex}"), regex=regex, at=at)


def _line(text: str) -> str:
    return " ".join(text.split())[:_MOST_SHOWN]
