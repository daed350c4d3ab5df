"""One request for vectors under way."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from oxillama.engine.api.embedding import check_finite
from oxillama.errors import GenerationError

if TYPE_CHECKING:
    import numpy.typing as npt

    from oxillama.engine.api.embedding import EmbeddingRequest
    from oxillama.errors import OxillamaError


class Embedding:
    """The texts of a request, and the rows that came of them so far."""

    def __init__(self, request: EmbeddingRequest) -> None:
        """`request` has been checked (requests/embedding.py)."""
        self.request = request
        self.texts = [np.array(ids, np.int32) for ids in request.texts]
        self.rows: list[npt.NDArray[np.float32]] = [np.empty((0, 0), np.float32)] * len(self.texts)
        self.waiting = deque(range(len(self.texts)))  # the texts that are in no step yet, in order
        self.left = len(self.texts)
        self.dropped = False
        self.error: OxillamaError | None = None

    @property
    def over(self) -> bool:
        return self.left == 0 or self.error is not None

    def take(self, text: int, rows: npt.NDArray[np.float32]) -> None:
        """Note the rows of a text. If they are not finite, the request ends with a GenerationError."""
        self.rows[text] = rows
        self.left -= 1
        try:
            check_finite(rows, self.request.params[text])
        except GenerationError as error:
            self.error = error
