"""WordPiece (`bert`): takes the longest known prefix of each word, then of the rest of the word.

In GGUF, a piece that begins a word has a leading U+2581, and a continuation has no `##`. The library expects the
opposite: no mark at the beginning, and `##` before a continuation.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from oxillama.errors import ModelFormatError
from oxillama.text.tokenizers.algorithms.pipeline import LibraryEncoder, encodable
from oxillama.text.tokenizers.vocab import NORMAL, Vocab

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.models import Model

_SPACE = "\u2581"
# A word with more characters becomes one unknown token, in the library as in the original.
_MAX_WORD = 100


def _build_model(vocab: Vocab) -> Model:
    from tokenizers.models import WordPiece

    unknown = vocab.special["unknown"]
    pieces: dict[str, int] = {}
    for i, token in enumerate(vocab.tokens):
        if not encodable(token):
            continue
        if token.startswith(_SPACE):
            pieces[token[1:]] = i
        elif vocab.attrs[i] & NORMAL:
            pieces.setdefault("##" + token, i)
    for i, token in enumerate(vocab.tokens):
        if not token.startswith(_SPACE) and not vocab.attrs[i] & NORMAL and encodable(token):
            pieces.setdefault(token, i)
    name = vocab.tokens[unknown]
    pieces[name] = unknown
    return WordPiece(pieces, unk_token=name, max_input_chars_per_word=_MAX_WORD)


def _configure(vocab: Vocab, pipeline: Tokenizer) -> None:
    from tokenizers import normalizers, pre_tokenizers

    pipeline.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=vocab.strip_accents, lowercase=vocab.lowercase
    )
    pipeline.pre_tokenizer = pre_tokenizers.BertPreTokenizer()


def wordpiece_encoder(vocab: Vocab) -> LibraryEncoder:
    """The encoder. Raises ModelFormatError if the vocabulary has no token for unknown words."""
    if "unknown" not in vocab.special:
        raise ModelFormatError("tokenizer.ggml.unknown_token_id is missing.")
    return LibraryEncoder(functools.partial(_build_model, vocab), functools.partial(_configure, vocab))
