"""The model's own byte-level BPE vocabulary, learnt from the generated texts.

Its pre-tokenizer is `tokenizer.ggml.pre` "qwen2". Each digit is a token, which helps with sums. A word has the same
pieces wherever it stands (" Oslo", "_Oslo"), which helps with copying names and values from a prompt to a call: merges
stay inside words, and only a frequent word that is one token has another token with the space before it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oxillama.embedded.chat import CALL, CALL_END, END, START, TEXT_END
from oxillama.text.tokenizers.algorithms.pretokenizers import BY_NAME

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer

PRE = "qwen2"
CONTROL = (TEXT_END, START, END)
SHOWN = (CALL, CALL_END)  # special tokens whose text is part of an answer
UNUSED = "[unused%d]"
SPACE = "Ġ"  # a space, as byte-level vocabularies write it
SPACED_SHARE = 0.35  # the share of tokens that are a word with the space before it


def learn(texts: Iterable[str], n_vocab: int) -> Tokenizer:
    """Learn a tokenizer of at most n_vocab tokens, special ones first. The same texts give the same tokenizer."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Split
    from tokenizers.trainers import BpeTrainer

    corpus = list(texts)
    tokenizer = _bare([], [], [Split(Regex(r"\p{L}+"), "isolated")])
    trainer = BpeTrainer(
        vocab_size=n_vocab - round(n_vocab * SPACED_SHARE),
        special_tokens=_special(),
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary: dict[str, int] = model["vocab"]
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    counts = Counter(word for text in corpus for word in re.findall(r" ([^\W\d_]+)", text))
    # A short word begins others too ("the", "theory"), so its own token with a space is the last merge of all.
    for word, _ in counts.most_common():
        if len(vocabulary) == n_vocab:
            break
        if word in vocabulary and word.isascii():
            merges.append((SPACE, word))
            vocabulary[SPACE + word] = len(vocabulary)
    return _bare(list(vocabulary.items()), merges, [])


def _special() -> list[AddedToken]:
    from tokenizers import AddedToken

    return [AddedToken(text, special=True) for text in (*CONTROL, *SHOWN)]


def _bare(vocabulary: Sequence[tuple[str, int]], merges: list[Any], splits: list[Any]) -> Tokenizer:
    """A tokenizer of these tokens and merges; splits: after those of the pre-tokenizer."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    tokenizer = Tokenizer(BPE(dict(vocabulary), merges) if vocabulary else BPE())
    own = [Split(Regex(pattern), "isolated") for pattern in BY_NAME[PRE].splits]
    tokenizer.pre_tokenizer = Sequence([*own, *splits, ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.add_special_tokens(_special())
    return tokenizer


def tokens_and_merges(tokenizer: Tokenizer, n_vocab: int) -> tuple[list[str], list[str], list[int]]:
    """The tokens, merges and token types for GGUF (1 normal, 3 control, 4 user-defined, 5 unused)."""
    model = json.loads(tokenizer.to_str())["model"]
    tokens = [UNUSED % i for i in range(n_vocab)]
    types = [5] * n_vocab
    for text, i in model["vocab"].items():
        tokens[i] = text
        types[i] = 3 if text in CONTROL else 4 if text in SHOWN else 1
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    return tokens, merges, types


def save(tokenizer: Tokenizer, path: Path) -> None:
    tokenizer.save(str(path))


def load(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))


def encode(tokenizer: Tokenizer, pieces: Sequence[tuple[str, bool]]) -> tuple[list[int], list[bool]]:
    """The ids of a conversation, each with whether the model learns to write it.

    pieces: as `oxillama.embedded.chat.pieces` gives them. Pieces are encoded as one text. They begin and end with
    special tokens or line breaks, so no merge crosses from one piece to the next.
    """
    text = "".join(piece for piece, _ in pieces)
    encoding = tokenizer.encode(text, add_special_tokens=False)
    ends, learnt = [], []
    at = 0
    for piece, flag in pieces:
        at += len(piece)
        ends.append(at)
        learnt.append(flag)
    flags, k = [], 0
    for start, _ in encoding.offsets:
        while start >= ends[k]:
            k += 1
        flags.append(learnt[k])
    return encoding.ids, flags
