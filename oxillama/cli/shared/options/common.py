"""Options that several commands share, defined once so that they look and behave the same."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from oxillama.cli.shared.guard import usage_error
from oxillama.errors import InvalidParameterError
from oxillama.machine import cpu_affinity


def given_path(text: str) -> Path:
    """The path of an option or argument. Raises BadParameter for an empty one, which would mean the current folder."""
    if not text.strip():
        raise typer.BadParameter("it is empty: give a path or leave it out")
    return Path(os.path.expanduser(text))  # a shell leaves the ~ of --model=~/m.gguf alone


NO_MODEL = "no model is named: add --model FILE with the path of a GGUF file, or set OXILLAMA_MODEL"

Model = Annotated[
    Path | None,
    typer.Option(
        "--model",
        "-m",
        parser=given_path,
        metavar="FILE",
        envvar="OXILLAMA_MODEL",
        show_default=False,
        help="The GGUF file to use.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", "-t", metavar="N", min=1, max=1024, show_default="all it may use", help="Threads that compute."
    ),
]


class Processors(tuple[int, ...]):
    """A type of its own, because an option of a plain tuple takes several words."""


def given_processors(text: str) -> Processors:
    """The processors that a list names, in its order. Raises BadParameter."""
    try:
        return Processors(cpu_affinity(text))
    except InvalidParameterError:
        raise typer.BadParameter(f"{text!r} is not a list of different processors, such as 0-3,8") from None


CpuAffinity = Annotated[
    Processors | None,
    typer.Option(
        "--cpu-affinity",
        parser=given_processors,
        metavar="LIST",
        show_default=False,
        help="Bind threads to processors, one each: 0-3,8.",
    ),
]
CtxSize = Annotated[
    int | None,
    typer.Option(
        "--ctx-size",
        "-c",
        metavar="N",
        min=1,
        max=2**31 - 1,
        show_default="the model's, within reason",
        help="Tokens of context.",
    ),
]
KVType = Annotated[
    Literal["auto", "f32", "f16", "i16", "q8_0"],
    typer.Option(
        metavar="TYPE",
        help="Type of the KV cache: auto, f32, f16, i16 or q8_0, which takes half the memory of f16 and i16.",
    ),
]
PoolingKind = Annotated[
    Literal["none", "mean", "cls", "last", "rank"] | None,
    typer.Option(
        metavar="KIND",
        show_default="as the file says",
        help="How a text becomes a vector: mean, cls, last or none; or rank, for scores.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def require_model(model: Path | None) -> Path:
    """The model to use. Without one, ends the command with a line that says how to name one."""
    if model is None:
        usage_error(NO_MODEL)
    return model


def model_or_embedded(model: Path | None, command: str, tell: Callable[[str], object] | None = None) -> Path:
    """The model to use. Without one, it is the embedded model, and a line says so and how to use another.

    tell: called with that line; by default the line goes to stderr.

    Raises FileNotFoundError, with the fix, if this installation has no embedded model.
    """
    if model is not None:
        return model
    from oxillama.embedded import model_path, notice

    path = model_path()
    if tell is None:
        print(f"oxillama: {notice(command)}", file=sys.stderr, flush=True)
    else:
        tell(notice(command))
    return path
