"""SentencePiece unigram (`t5`) with the `tokenizers` library: the most likely segmentation of the normalised text."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from oxillama.errors import ModelFormatError
from oxillama.text.tokenizers.algorithms.charsmap import check_charsmap
from oxillama.text.tokenizers.algorithms.pipeline import encodable, guarded, run
from oxillama.text.tokenizers.vocab import NORMAL, UNUSED, USER_DEFINED, Vocab

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer
    from tokenizers.models import Model

_SPACE = "\u2581"
# Stands in for tokens that no text may produce: a noncharacter, which texts do not contain.
_NO_TEXT = "\U0010ffff"


def _build_model(vocab: Vocab) -> Model:
    from tokenizers.models import Unigram

    unknown = vocab.special.get("unknown")
    if unknown is None:
        raise ModelFormatError("tokenizer.ggml.unknown_token_id is missing.")
    scores = vocab.scores.tolist()
    usable = [bool(attr & (NORMAL | UNUSED | USER_DEFINED)) for attr in vocab.attrs]
    # The library derives the score of unknown text from the lowest score, so unused tokens must not lower it.
    lowest = min((score for score, use in zip(scores, usable, strict=True) if use), default=0.0)
    pieces = [
        (token, score) if use and encodable(token) else (f"{_NO_TEXT}{i}", lowest)
        for i, (token, score, use) in enumerate(zip(vocab.tokens, scores, usable, strict=True))
    ]
    return Unigram(pieces, unk_id=unknown, byte_fallback=False)


def _configure(vocab: Vocab, pipeline: Tokenizer) -> None:
    from tokenizers import Regex, normalizers, pre_tokenizers

    steps: list[normalizers.Normalizer] = []
    if vocab.charsmap:
        check_charsmap(vocab.charsmap)
        try:
            steps.append(normalizers.Precompiled(vocab.charsmap))
        except Exception:
            raise ModelFormatError("tokenizer.ggml.precompiled_charsmap is damaged.") from None
    if vocab.remove_extra_whitespaces:
        # No regular expression for trailing spaces: tried at every space of a long run, it would take quadratic time.
        steps += [normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), " ")]
    pipeline.normalizer = normalizers.Sequence(steps)
    prepend = "always" if vocab.add_space_prefix is not False else "never"
    pipeline.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme=prepend)


class UnigramEncoder:
    """Encodes text with a unigram vocabulary. Building it raises ModelFormatError for a wrong vocabulary."""

    def __init__(self, vocab: Vocab) -> None:
        from tokenizers import Tokenizer

        self._pipeline = Tokenizer(guarded(functools.partial(_build_model, vocab)))
        _configure(vocab, self._pipeline)

    def encode(self, pieces: Sequence[str | int]) -> list[int]:
        ids: list[int] = []
        for piece in pieces:
            if isinstance(piece, int):
                ids.append(piece)
            else:
                ids.extend(run(self._pipeline, piece))
        return ids
