"""Outputs a benchmark's result: a table or JSON on standard output, or a section of a page in docs/."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import machine

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --json and --update, the same for every script."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--update", metavar="SECTION", help="put the table into this section of a page of docs/")


def emit(args: argparse.Namespace, rows: list[dict[str, Any]], **facts: Any) -> None:
    """Print the rows and the machine they were measured on, and store them where --update says."""
    facts = {**machine.describe(), **facts}
    if args.json:
        print(json.dumps({"machine": facts, "rows": rows}, indent=2))
    else:
        print(_heading(facts), "", table(rows), sep="\n")
    if args.update:
        arguments = list(sys.argv[1:])
        if "--models" in arguments:  # the machine's folder of models does not belong in a report
            del arguments[arguments.index("--models") : arguments.index("--models") + 2]
        command = f"python benchmarks/{Path(sys.argv[0]).name} {shlex.join(arguments)}"
        replace_section(_page_with(args.update), args.update, f"`{command}`\n\n{_heading(facts)}\n\n{table(rows)}")


def _page_with(section: str) -> Path:
    """The one page that has the section."""
    mark = f"<!-- begin {section} -->"
    pages = [page for page in sorted(PAGES.rglob("*.md")) if mark in page.read_text(encoding="utf-8")]
    if len(pages) != 1:
        raise SystemExit(f"{len(pages)} pages of {PAGES} have a section {section!r}, where one should")
    return pages[0]


def _heading(facts: dict[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in facts.items())


def table(rows: list[dict[str, Any]]) -> str:
    """Rows with equal keys as a Markdown table; floats have three significant figures."""
    heads = list(rows[0])
    cells = [[h.strip() for h in heads], *([_cell(row[h]) for h in heads] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(heads))]
    lines = ["| " + " | ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 1) + ":" for w in widths) + "|")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "–" if value is None else str(value)


def replace_section(page: Path, name: str, text: str) -> None:
    """Put `text` between the page's two comments that name the section."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    old = page.read_text(encoding="utf-8")
    new, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{text}\n{end}", old, flags=re.DOTALL
    )
    if count != 1:
        raise SystemExit(f"{page} has no section {name!r} (or two)")
    page.write_text(new, encoding="utf-8")
