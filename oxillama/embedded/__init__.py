"""The demonstration model that comes with the package: a few million parameters, trained by `train.py` beside it.

It answers questions about oxillama and tells small stories, so that a first start needs no download. MODEL_CARD.md says
what it is for, what it cannot do and how it was made.
"""

from __future__ import annotations

from pathlib import Path

MODEL_NAME = "oxillama-demo"

__all__ = ["MODEL_NAME", "model_path", "notice"]


def notice(command: str) -> str:
    """What `oxillama COMMAND` says before it takes this model because no other was named."""
    return f"using the embedded demonstration model; for a real one: oxillama {command} --model FILE.gguf"


def model_path() -> Path:
    """The GGUF file inside the installed package. Raises FileNotFoundError when this copy came without it."""
    path = Path(__file__).with_name(f"{MODEL_NAME}.gguf")
    if not path.is_file():
        raise FileNotFoundError(
            f"the embedded model {path} is missing from this installation: give --model FILE.gguf, "
            "or make it with python -m oxillama.embedded.train"
        )
    return path
