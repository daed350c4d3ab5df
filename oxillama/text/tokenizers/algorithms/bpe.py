"""Byte-pair encoding (`gpt2`, `gemma4`) with the `tokenizers` library.

A pre-tokenizer, chosen by name, splits the text. Merges are then applied by rank.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

from oxillama.errors import ModelFormatError
from oxillama.text.tokenizers.algorithms.pipeline import LINE_CUT, WORD_CUT, LibraryEncoder, encodable
from oxillama.text.tokenizers.algorithms.pretokenizers import BY_NAME, DEFAULT, GEMMA4, PreTokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.models import Model
    from tokenizers.pre_tokenizers import PreTokenizer as PreTokenizerStep

    from oxillama.text.tokenizers.vocab import Vocab

logger = logging.getLogger(__name__)

_MERGES = "tokenizer.ggml.merges"
_warned: set[str | None] = set()


def pretokenizer(vocab: Vocab) -> PreTokenizer:
    """The pre-tokenizer that the file names. Unknown names get the default one and a warning each."""
    if vocab.model == "gemma4":
        return GEMMA4
    known = BY_NAME.get(vocab.pre) if vocab.pre else None
    if known is None:
        if vocab.pre not in _warned:
            _warned.add(vocab.pre)
            what = f"tokenizer.ggml.pre {vocab.pre[:60]!r} is unknown" if vocab.pre else "tokenizer.ggml.pre is missing"
            logger.warning("%s; using the default pre-tokenizer, which may split some texts differently", what)
        return DEFAULT
    return known


def _check_merges(vocab: Vocab) -> None:
    """Raise ModelFormatError unless each merge is two parts with a space between; the first may begin with a space."""
    if vocab.merges is None:
        if vocab.pre == "kimi-k2":
            return
        raise ModelFormatError(f"{_MERGES} is missing.")
    for i, merge in enumerate(vocab.merges):
        if not 0 < merge.find(" ", 1) < len(merge) - 1:
            raise ModelFormatError(f"{_MERGES}[{i}] {merge[:40]!r} is not two parts with a space between.")


def _merge_pairs(vocab: Vocab) -> list[tuple[str, str]]:
    """The merges as pairs, best first. Omits merges that can never apply: a part or the result is not a token."""
    pairs: list[tuple[str, str]] = []
    ids = vocab.ids
    for merge in vocab.merges or ():
        at = merge.find(" ", 1)
        left, right = merge[:at], merge[at + 1 :]
        if left in ids and right in ids and left + right in ids:
            pairs.append((left, right))
    return pairs


def _build_model(vocab: Vocab, pre: PreTokenizer) -> Model:
    from tokenizers.models import BPE

    ids = vocab.ids
    pairs = _merge_pairs(vocab)
    if not encodable("".join(vocab.tokens)):
        # Leave out tokens that are not valid UTF-8: no text contains them, and the library cannot hold them.
        ids = {token: i for token, i in ids.items() if encodable(token)}
        pairs = [(a, b) for a, b in pairs if a in ids and b in ids and a + b in ids]
    return BPE(ids, pairs, ignore_merges=pre.ignore_merges, byte_fallback=not pre.byte_level)


def _configure(pre: PreTokenizer, pipeline: Tokenizer) -> None:
    from tokenizers import Regex, normalizers
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    steps: list[PreTokenizerStep] = [Split(Regex(pattern), "isolated") for pattern in pre.splits]
    if pre.byte_level:
        steps.append(ByteLevel(add_prefix_space=False, use_regex=False))
    pipeline.pre_tokenizer = Sequence(steps)
    if pre.escape_spaces:
        pipeline.normalizer = normalizers.Replace(" ", "\u2581")
    elif pre.nfc:
        pipeline.normalizer = normalizers.NFC()


def bpe_encoder(vocab: Vocab) -> tuple[LibraryEncoder, PreTokenizer]:
    """The encoder and its pre-tokenizer. Raises ModelFormatError if the merges are wrong."""
    pre = pretokenizer(vocab)
    _check_merges(vocab)
    encoder = LibraryEncoder(
        functools.partial(_build_model, vocab, pre),
        functools.partial(_configure, pre),
        cut=WORD_CUT if pre.word_breaks else LINE_CUT,
    )
    return encoder, pre
