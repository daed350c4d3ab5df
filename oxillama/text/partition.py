"""Finding special tokens in a text, for the encoders that are not pipelines of the `tokenizers` library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.text.pipeline import special_tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from oxillama.text.vocab import Vocab


class SpecialSplitter:
    """Cuts a text into special tokens (their ids) and the text between them: leftmost first, then longest."""

    def __init__(self, vocab: Vocab) -> None:
        self._vocab = vocab
        self._finders: dict[bool, Tokenizer | None] = {}

    def _finder(self, parse_special: bool) -> Tokenizer | None:
        if parse_special not in self._finders:
            from tokenizers import Tokenizer, models

            tokens = special_tokens(self._vocab, parse_special)
            finder = None
            if tokens:
                # A model without tokens: of the text, only the added tokens are left, with their places.
                finder = Tokenizer(models.BPE({}, []))
                finder.add_tokens(tokens)
            self._finders[parse_special] = finder
        return self._finders[parse_special]

    def split(self, text: str, parse_special: bool) -> list[str | int]:
        finder = self._finder(parse_special) if text else None
        if finder is None:
            return [text] if text else []
        pieces: list[str | int] = []
        at = 0
        found = finder.encode(text, add_special_tokens=False)
        for token, (start, end) in zip(found.tokens, found.offsets, strict=True):
            if start > at:
                pieces.append(text[at:start])
            pieces.append(self._vocab.ids[token])
            at = end
        if at < len(text):
            pieces.append(text[at:])
        return pieces
