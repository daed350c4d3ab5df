"""The text of JSON and of tables, written so that a passage makes sense alone."""

from __future__ import annotations

import csv
import io
import json


def json_text(text: str) -> str:
    """JSON with a line for each value and without escapes; text that is not JSON as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1)
    except (ValueError, RecursionError):
        return text


def table_text(text: str, delimiter: str) -> str:
    """A table with the column's name before each value: a passage from its middle has no header line."""
    csv.field_size_limit(1 << 27)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:
        return text
    if not rows or len(rows[0]) < 2:
        return text
    names = [name.strip() for name in rows[0]]
    lines = [delimiter.join(names)]
    for row in rows[1:]:
        named = [f"{name}: {value.strip()}" if name else value.strip() for name, value in zip(names, row, strict=False)]
        lines.append("; ".join([*named, *(value.strip() for value in row[len(names) :])]))
    return "\n".join(lines)
