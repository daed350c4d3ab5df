"""Makes the logprobs object of /v1/completions."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from oxillama.server.apis.completions.answer import CompletionLogprobs
from oxillama.server.generation.logprobs import finite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from oxillama.engine.api.types import TokenLogprob


class LogprobsBuilder:
    """Makes the object for one choice, whole or in one piece per chunk.

    n_top: number of alternatives per token; the chosen token is always included. offset: position of the first token in
    characters from the start of the prompt; negative if the tokens begin with a space that the text lacks.
    """

    def __init__(self, n_top: int, offset: int) -> None:
        self._n_top = n_top
        self._offset = offset
        # A token may hold part of a character: the offset moves when the character is whole.
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")

    def of_prompt(
        self, ids: Sequence[int], logprobs: Sequence[TokenLogprob | None], token_bytes: Callable[[int], bytes]
    ) -> CompletionLogprobs:
        """The entries of the prompt's tokens. The first has no log-probability, because nothing precedes it."""
        found = CompletionLogprobs()
        for token, logprob in zip(ids, logprobs, strict=False):
            self._add(found, token_bytes(token), logprob)
        return found

    def of_text(self, logprobs: Sequence[TokenLogprob]) -> CompletionLogprobs:
        """The entries of the next generated tokens."""
        found = CompletionLogprobs()
        for logprob in logprobs:
            self._add(found, logprob.piece, logprob)
        return found

    def _add(self, found: CompletionLogprobs, piece: bytes, logprob: TokenLogprob | None) -> None:
        found.tokens.append(token_name(piece))
        found.text_offset.append(max(self._offset, 0))
        found.token_logprobs.append(None if logprob is None else finite(logprob.logprob))
        found.top_logprobs.append(None if logprob is None else self._top(logprob))
        self._offset += len(self._characters.decode(piece))

    def _top(self, logprob: TokenLogprob) -> dict[str, float]:
        top = {token_name(piece): finite(value) for _, piece, value in logprob.top[: self._n_top]}
        top.setdefault(token_name(logprob.piece), finite(logprob.logprob))
        return top


def token_name(piece: bytes) -> str:
    """A token's text, or its escaped bytes if they are not whole characters, so that keys stay distinct."""
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in piece)
