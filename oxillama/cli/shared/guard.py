"""How a command ends: its exit status, and one line on stderr instead of a traceback."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, ParamSpec, TypeVar

import typer

from oxillama.concurrency import leaves
from oxillama.errors import OxillamaError

P = ParamSpec("P")
R = TypeVar("R")

_USAGE_ERRORS: tuple[type[Exception], ...] = tuple(
    kind for kind in typer.BadParameter.__bases__ if issubclass(kind, Exception)
)
"""What Typer raises for a command line that it cannot read; it has no public name."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # as a shell reports a process that SIGINT ended
EXIT_BROKEN_PIPE = 141  # and one that SIGPIPE ended
EXIT_TERMINATED = 143  # and one that SIGTERM ended


def usage_error(message: str) -> NoReturn:
    """End the command because its arguments make no sense together."""
    print(f"oxillama: {one_line(message)}", file=sys.stderr)
    raise typer.Exit(EXIT_USAGE)


@contextmanager
def usage_refused() -> Iterator[None]:
    """End the program with one line where the command line was not understood, as for every other error."""
    try:
        yield
    except _USAGE_ERRORS as error:
        context = getattr(error, "ctx", None)
        told = error.format_message() if hasattr(error, "format_message") else str(error)
        command = getattr(context, "command_path", "oxillama")
        print(f"oxillama: {one_line(told).strip().removesuffix('.')}; see {command} --help", file=sys.stderr)
        sys.exit(EXIT_USAGE)
    except typer.Abort:
        sys.exit(EXIT_INTERRUPTED)


def one_line(text: str) -> str:
    """A message as one printable line: file names and model metadata may carry anything."""
    return "".join(c if c.isprintable() else " " for c in text.encode("utf-8", "replace").decode("utf-8"))


def describe(error: BaseException) -> str:
    """What to tell the user about an expected error."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, OxillamaError):
        name = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return f"{name}{error.strerror}"
    return str(error) or type(error).__name__


def status_of(error: BaseException) -> int | None:
    """The exit status for an error that is part of the command's contract; None: it is a bug, let it be seen."""
    kinds = list(leaves(error))
    if any(isinstance(e, KeyboardInterrupt) for e in kinds):
        return EXIT_INTERRUPTED
    if any(isinstance(e, BrokenPipeError) for e in kinds):
        return EXIT_BROKEN_PIPE
    if all(isinstance(e, OxillamaError | OSError | MemoryError) for e in kinds):
        return EXIT_FAILED
    return None


def silence_stdout() -> None:
    """The reader has gone: keep the interpreter's own flush at exit from failing again."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


@contextmanager
def expected_errors() -> Iterator[None]:
    """Turn an expected error into one line `oxillama: …` and an exit status."""
    try:
        yield
    except BaseException as error:
        status = status_of(error)
        if status is None:
            raise
        if status == EXIT_BROKEN_PIPE:
            silence_stdout()
        elif status == EXIT_FAILED:
            print(f"oxillama: {one_line(describe(next(leaves(error))))}", file=sys.stderr)
        sys.exit(status)


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """`command`, under `expected_errors`."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with expected_errors():
            result = command(*args, **kwargs)
            sys.stdout.flush()
        return result

    return wrapper
