"""The server that the suite starts if it is pointed at none: this repository's, with a scripted model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODEL = "scripted"


@contextmanager
def own_server(folder: Path) -> Iterator[str]:
    """Its base URL. Needs an installed oxillama, which a run against another server does not."""
    from tests.support.scripted_model import scripted_model
    from tests.support.server import running

    model = scripted_model(folder / "model.gguf", {"\n": "Hello there, this is what I say."}, n_ctx=8192)
    arguments = ("--model", model, "--alias", MODEL, "--data-dir", folder / "data", "--threads", "1")
    with running(*arguments, log=folder / "log") as server:
        yield f"{server.url}/v1"
