"""The demonstration model in the package: a few million parameters, trained by `train.py` in this folder.

It answers questions about oxillama and tells short stories, so a first start needs no download. MODEL_CARD.md describes
its purpose, its limits and its training.
"""

from __future__ import annotations

from pathlib import Path

MODEL_NAME = "oxillama-demo"

__all__ = ["MODEL_NAME", "model_path", "notice"]


def notice(command: str) -> str:
    """The line that `oxillama COMMAND` prints when it uses this model because no other was named."""
    return f"using the embedded demonstration model; for a real one: oxillama {command} --model FILE.gguf"


def model_path() -> Path:
    """The GGUF file in the installed package. Raises FileNotFoundError if this installation lacks it."""
    path = Path(__file__).with_name(f"{MODEL_NAME}.gguf")
    if not path.is_file():
        raise FileNotFoundError(
            f"the embedded model {path} is missing from this installation: give --model FILE.gguf, "
            "or make it with python -m oxillama.embedded.train"
        )
    return path
