"""JSON schemas within a grammar's text: a directive while the grammar is put together, rules in the end.

`%schema {…}` stands for an expression, as llguidance's own `%json {…}` does. `resolved` writes the rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from oxillama.chat.schemas.document import SchemaError
from oxillama.chat.schemas.grammar.context import Spacing
from oxillama.chat.schemas.grammar.writer import SchemaGrammar, schema_grammar
from oxillama.kept import Kept

_MARK = "%schema "
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|/(?:[^/\\\n]|\\.)+/|' + _MARK)  # quoted texts and expressions are passed over
_DECODER = json.JSONDecoder()
LONGEST = 1 << 20
"""Characters of a schema."""
MOST_KEPT = 1 << 23
"""Characters of schemas and of their rules that are kept for the next request with the same schema."""


def _size(key: tuple[str, str], written: SchemaGrammar) -> int:
    return len(key[0]) + len(written.rules)


_kept: Kept[tuple[str, str], SchemaGrammar] = Kept(MOST_KEPT, _size)


def inline(schema: Mapping[str, Any] | bool, *, spacing: Spacing, lenient: bool, origin: str = "") -> str:
    """The expression for the JSON texts of a schema. lenient: see `schema_grammar`. origin: what errors call it."""
    return _MARK + json.dumps({"schema": schema, "spacing": spacing, "lenient": lenient, "origin": origin})


def resolved(grammar: str, prefix: str) -> str:
    """The grammar with rules, whose names begin with the prefix, in place of its schemas.

    Raises SchemaError for a schema that cannot be honoured; its text begins with the origin of the schema.
    """
    parts: list[str] = []
    rules: list[str] = []
    at = 0
    while (found := _TOKEN.search(grammar, at)) is not None:
        parts.append(grammar[at : found.start()])
        at = found.end()
        if found[0] != _MARK:
            parts.append(found[0])
            continue
        given, at = _DECODER.raw_decode(grammar, at)
        name = f"{prefix}{len(rules)}"
        key = (json.dumps(given), name)
        rules.append(_kept.get(key, partial(_written, *key)).rules)
        parts.append(name)
    return "\n".join(["".join(parts) + grammar[at:], *rules])


def _written(given: str, name: str) -> SchemaGrammar:
    asked = json.loads(given)
    if len(given) > LONGEST:
        error = SchemaError("", "", f"is longer than {LONGEST} characters")
    else:
        try:
            return schema_grammar(asked["schema"], name=name, spacing=asked["spacing"], lenient=asked["lenient"])
        except SchemaError as raised:
            error = raised
    raise SchemaError(error.keyword, error.path, error.reason, asked["origin"])
