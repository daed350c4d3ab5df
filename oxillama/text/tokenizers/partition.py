"""Finding special tokens in a text, for the encoders that are not pipelines of the `tokenizers` library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.text.tokenizers.algorithms.pipeline import special_tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from oxillama.text.tokenizers.vocab import Vocab


class SpecialSplitter:
    """Cuts a text into special tokens (their ids) and the text between them: leftmost first, then longest."""

    def __init__(self, vocab: Vocab) -> None:
        self._vocab = vocab
        self._finders: dict[bool, tuple[Tokenizer, list[int]] | None] = {}

    def _finder(self, parse_special: bool) -> tuple[Tokenizer, list[int]] | None:
        """The library's search, and what its ids are in the vocabulary; None if there is nothing to find."""
        if parse_special not in self._finders:
            from tokenizers import Tokenizer, models

            tokens = special_tokens(self._vocab, parse_special)
            if tokens:
                # A model without tokens: of the text, only the added tokens are left, with their places.
                finder = Tokenizer(models.BPE({}, []))
                finder.add_tokens(tokens)
                self._finders[parse_special] = finder, [self._vocab.ids[token.content] for token in tokens]
            else:
                self._finders[parse_special] = None
        return self._finders[parse_special]

    def split(self, text: str, parse_special: bool) -> list[str | int]:
        found_by = self._finder(parse_special) if text else None
        if found_by is None:
            return [text] if text else []
        finder, ids = found_by
        pieces: list[str | int] = []
        at = 0
        found = finder.encode(text, add_special_tokens=False)
        for i, (start, end) in zip(found.ids, found.offsets, strict=True):
            if start > at:
                pieces.append(text[at:start])
            pieces.append(ids[i])
            at = end
        if at < len(text):
            pieces.append(text[at:])
        return pieces
