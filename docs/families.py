"""Write the table of families into serving.md, from the code itself: python docs/families.py [--check]"""

from __future__ import annotations

from pathlib import Path

from tables import main

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


if __name__ == "__main__":
    main(PAGE, "families", table())
