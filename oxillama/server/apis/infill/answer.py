"""POST /infill: the answer, which is also the form of its chunks."""

from __future__ import annotations

from typing import Literal

import msgspec

from oxillama.server.generation.usage import Timings
from oxillama.server.wire.answer import Answer

StopType = Literal["none", "eos", "limit", "word"]


class Infill(Answer, kw_only=True):
    """The whole text, or in a stream its next piece. Names are those of llama.cpp's server.

    stop: whether this is the end. stop_type: `eos` for a token that ends the text, `word` for a stop string, `limit`.
    Counts and times are in the last chunk: of tokens of the prompt, from the prefix cache, and written.
    """

    index: int = 0
    content: str
    stop: bool
    model: str
    stop_type: StopType = "none"
    tokens_predicted: int | msgspec.UnsetType = msgspec.UNSET
    tokens_evaluated: int | msgspec.UnsetType = msgspec.UNSET
    tokens_cached: int | msgspec.UnsetType = msgspec.UNSET
    timings: Timings | msgspec.UnsetType = msgspec.UNSET
