"""Progress bars for long work, such as loading a large model. They appear on stderr, and only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from oxillama.cli.shared.guard import one_line

LARGE = 64 * 2**20  # bytes; smaller files load too fast for a bar


@contextmanager
def load_progress(path: Path) -> Iterator[Callable[[float], None] | None]:
    """A callback for the share done (0 to 1), for any thread; None without a bar: a small file, or no terminal."""
    if not path.is_file() or path.stat().st_size < LARGE:
        yield None
        return
    with _bar(f"loading {one_line(path.name)}", 1.0) as advance:
        yield advance


@contextmanager
def bytes_progress(what: str, total: int) -> Iterator[Callable[[int], None] | None]:
    """A callback for the bytes done so far; None without a bar: little work, or no terminal."""
    if total < LARGE:
        yield None
        return
    with _bar(what, total) as advance:
        yield advance


@contextmanager
def steps_progress(what: str, total: int) -> Iterator[Callable[[int], None] | None]:
    """A callback for the number of steps done; None without a terminal."""
    with _bar(what, total) as advance:
        yield advance


@contextmanager
def _bar(what: str, total: float) -> Iterator[Callable[[float], None] | None]:
    """Show a bar on stderr; gives the callback that updates it, or None if stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return

    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(escape(what), total=total)
        yield lambda done: bar.update(task, completed=done)
