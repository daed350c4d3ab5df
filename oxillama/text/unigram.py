"""SentencePiece unigram (`t5`): the most likely way to cut the normalised text into tokens, on the library."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from oxillama.errors import ModelFormatError
from oxillama.text.pipeline import LibraryEncoder, encodable
from oxillama.text.vocab import NORMAL, UNUSED, USER_DEFINED, Vocab

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.models import Model

_SPACE = "\u2581"
# A token that no text may become, whatever is in it.
_NEVER = -1e30


def _build_model(vocab: Vocab) -> Model:
    from tokenizers.models import Unigram

    unknown = vocab.special.get("unknown")
    if unknown is None:
        raise ModelFormatError("tokenizer.ggml.unknown_token_id is missing.")
    scores = vocab.scores.tolist()
    pieces = [
        (
            token if encodable(token) else f"\0{i}",
            scores[i] if attr & (NORMAL | UNUSED | USER_DEFINED) else _NEVER,
        )
        for i, (token, attr) in enumerate(zip(vocab.tokens, vocab.attrs, strict=True))
    ]
    return Unigram(pieces, unk_id=unknown, byte_fallback=False)


def _configure(vocab: Vocab, pipeline: Tokenizer) -> None:
    from tokenizers import Regex, normalizers, pre_tokenizers

    steps: list[normalizers.Normalizer] = []
    if vocab.charsmap:
        try:
            steps.append(normalizers.Precompiled(vocab.charsmap))
        except Exception:
            raise ModelFormatError("tokenizer.ggml.precompiled_charsmap is damaged.") from None
    if vocab.remove_extra_whitespaces:
        steps += [normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), _SPACE)]
    pipeline.normalizer = normalizers.Sequence(steps)
    prepend = "always" if vocab.add_space_prefix is not False else "never"
    pipeline.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme=prepend)


def unigram_encoder(vocab: Vocab) -> LibraryEncoder:
    return LibraryEncoder(vocab, functools.partial(_build_model, vocab), functools.partial(_configure, vocab))
