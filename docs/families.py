"""Write the table of families into serving.md, from the code itself: python docs/families.py [--check]"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from oxillama.chat.formats.describe import SHAPES, calls_of, reasoning_of
from oxillama.chat.formats.detect.rules import FAMILIES
from oxillama.chat.formats.wire import Family

PAGE = Path(__file__).resolve().parent / "serving.md"


def code(text: str) -> str:
    """A text with special characters in a cell."""
    return f"`{text}`".replace("|", "\\|")


def thinks(family: Family) -> str:
    return "–" if not family.reasoning else code(reasoning_of(family))


def ids(family: Family) -> str:
    return {
        "made": "`call_…`",
        "short": "9 characters",
        "index": "`0`, `1`, …",
        "functions": "`functions.NAME:0`",
    }[family.ids]


def table() -> str:
    """Both tables, in Markdown."""
    lines = ["| family | shape | calls in a reply | ids of calls | reasoning |", "|---|---|---|---|---|"]
    for family in FAMILIES.values():
        cells = [family.name, family.shape.name, calls_of(family), ids(family), thinks(family)]
        lines.append(f"| {' | '.join(cells)} |")
    used = {family.shape.name for family in FAMILIES.values()}
    lines += ["", "| shape | one call |", "|---|---|"]
    lines += [f"| {name} | {meaning} |" for name, meaning in SHAPES.items() if name in used]
    return "\n".join(lines)


def updated(page: str) -> str:
    """The page with the tables of today."""
    text, count = re.subn(
        r"(<!-- begin families -->\n).*?(<!-- end families -->)",
        lambda m: f"{m[1]}{table()}\n{m[2]}",
        page,
        flags=re.DOTALL,
    )
    assert count == 1, "serving.md has lost its marks"
    return text


if __name__ == "__main__":
    old = PAGE.read_text(encoding="utf-8")
    new = updated(old)
    if "--check" in sys.argv[1:]:
        sys.exit("serving.md is out of date: run python docs/families.py" if new != old else 0)
    PAGE.write_text(new, encoding="utf-8")
