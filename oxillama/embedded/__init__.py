"""The demonstration model that comes with the package: a few million parameters, trained by `train.py` beside it.

It answers questions about oxillama and tells small stories, so that a first start needs no download. MODEL_CARD.md says
what it is for, what it cannot do and how it was made.
"""

from __future__ import annotations

from pathlib import Path

MODEL_NAME = "oxillama-demo"
NOTICE = "serving the embedded demonstration model; for a real one: oxillama serve --model FILE.gguf"
RUN_NOTICE = "using the embedded demonstration model; for a real one: oxillama run --model FILE.gguf"

__all__ = ["MODEL_NAME", "NOTICE", "RUN_NOTICE", "model_path"]


def model_path() -> Path:
    """The GGUF file inside the installed package. Raises FileNotFoundError when this copy came without it."""
    path = Path(__file__).with_name(f"{MODEL_NAME}.gguf")
    if not path.is_file():
        raise FileNotFoundError(
            f"the embedded model {path} is missing from this installation: give --model FILE.gguf, "
            "or make it with python -m oxillama.embedded.train"
        )
    return path
