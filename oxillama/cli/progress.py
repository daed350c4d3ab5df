"""The bar that shows a large model loading: on standard error, and only where somebody can see it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LARGE = 64 * 2**20  # bytes; smaller files load before a bar could be read


@contextmanager
def load_progress(path: Path) -> Iterator[Callable[[float], None] | None]:
    """A callback for the share done (0 to 1), from any thread; None when there is nothing to show or nobody to see."""
    if not sys.stderr.isatty() or not path.is_file() or path.stat().st_size < LARGE:
        yield None
        return

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"loading {path.name}", total=1.0)
        yield lambda share: bar.update(task, completed=share)
