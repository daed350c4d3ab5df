"""Options that several commands share, defined once so that they read and behave alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oxillama.cli.guard import usage_error

NO_MODEL = "no model is named: add --model FILE with the path of a GGUF file, or set OXILLAMA_MODEL"

Model = Annotated[
    Path | None,
    typer.Option(
        "--model", "-m", metavar="FILE", envvar="OXILLAMA_MODEL", show_default=False, help="The GGUF file to use."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", "-t", min=1, max=1024, show_default="one per core", help="Threads that compute."),
]
CtxSize = Annotated[
    int | None,
    typer.Option("--ctx-size", "-c", min=1, show_default="the model's, within reason", help="Tokens of context."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Special = Annotated[
    bool, typer.Option("--special", help="Let special tokens written out in the text stand for themselves.")
]


def require_model(model: Path | None) -> Path:
    """The model to use, or the end of the command with a line that says how to name one."""
    if model is None:
        usage_error(NO_MODEL)
    return model
