"""Exit statuses and error lines: an expected error ends a command with one line on stderr, not a traceback."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar

import typer

from oxillama.cli.streams import STDOUT_NAME
from oxillama.concurrency import leaves
from oxillama.errors import OxillamaError, describe

P = ParamSpec("P")
R = TypeVar("R")

_USAGE_ERRORS: tuple[type[Exception], ...] = tuple(
    kind for kind in typer.BadParameter.__bases__ if issubclass(kind, Exception)
)
"""The errors that Typer raises for an invalid command line. Their class has no public name."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # as a shell reports a process that SIGINT ended
EXIT_BROKEN_PIPE = 141  # and one that SIGPIPE ended
EXIT_TERMINATED = 143  # and one that SIGTERM ended


def usage_error(message: str) -> NoReturn:
    """End the command with one line on stderr, because its arguments are wrong."""
    print(f"oxillama: {one_line(message)}", file=sys.stderr)
    raise typer.Exit(EXIT_USAGE)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file that is written in an OSError. The system knows a descriptor alone, or a temporary name."""
    try:
        yield
    except OSError as error:
        error.filename = os.fspath(path)
        raise


@contextmanager
def usage_refused() -> Iterator[None]:
    """End the program with one line on stderr if the command line is invalid."""
    try:
        yield
    except _USAGE_ERRORS as error:
        context = getattr(error, "ctx", None)
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        command = getattr(context, "command_path", "oxillama")
        print(f"oxillama: {one_line(message).strip().removesuffix('.')}; see {command} --help", file=sys.stderr)
        sys.exit(EXIT_USAGE)
    except typer.Abort:
        sys.exit(EXIT_INTERRUPTED)


def one_line(text: str) -> str:
    """A message as one printable line, because file names and model metadata may contain any character."""
    return "".join(c if c.isprintable() else " " for c in text.encode("utf-8", "replace").decode("utf-8"))


def status_of(error: BaseException) -> int | None:
    """The exit status for an expected error; None for a bug, whose traceback must be seen."""
    kinds = list(leaves(error))
    if any(isinstance(e, KeyboardInterrupt) for e in kinds):
        return EXIT_INTERRUPTED
    if any(isinstance(e, BrokenPipeError) for e in kinds):
        return EXIT_BROKEN_PIPE
    if all(isinstance(e, OxillamaError | OSError | MemoryError) for e in kinds):
        return EXIT_FAILED
    return None


def silence_stdout() -> None:
    """Redirect stdout after its reader has gone, so that the interpreter's flush at exit does not fail again."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


@contextmanager
def expected_errors() -> Iterator[None]:
    """Turn an expected error into one line `oxillama: …` on stderr and an exit status."""
    try:
        yield
    except BaseException as error:
        status = status_of(error)
        if status is None:
            raise
        first = next(leaves(error))
        if status == EXIT_BROKEN_PIPE or (isinstance(first, OSError) and first.filename == STDOUT_NAME):
            silence_stdout()
        if status == EXIT_FAILED:
            print(f"oxillama: {one_line(describe(first))}", file=sys.stderr)
        sys.exit(status)


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """`command` wrapped in `expected_errors`."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with expected_errors():
            result = command(*args, **kwargs)
            sys.stdout.flush()
        return result

    return wrapper
