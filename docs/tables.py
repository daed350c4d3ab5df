"""What the scripts share that write a table into a page of the documentation."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def main(page: Path, mark: str, table: str) -> None:
    """Put the table between the page's marks; with `--check`, exit with an error if it is not there already.

    mark: the word in the two comments between which the table stands.
    """
    old = page.read_text(encoding="utf-8")
    new, count = re.subn(
        rf"(<!-- begin {mark} -->\n).*?(<!-- end {mark} -->)",
        lambda found: f"{found[1]}{table}\n{found[2]}",
        old,
        flags=re.DOTALL,
    )
    assert count == 1, f"{page.name} has lost its marks"
    if "--check" not in sys.argv[1:]:
        page.write_text(new, encoding="utf-8")
    elif new != old:
        sys.exit(f"{page.name} is out of date: run python docs/{Path(sys.argv[0]).name}")
