"""The tokenizer of a GGUF file: text to token ids and back."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Protocol

from oxillama.errors import InvalidParameterError, ModelFormatError, ModelUnsupportedError
from oxillama.text.prompt_text import PromptText
from oxillama.text.tokenizers.algorithms.pipeline import valid_unicode
from oxillama.text.tokenizers.fim import fim_tokens
from oxillama.text.tokenizers.partition import SpecialSplitter
from oxillama.text.tokenizers.pieces import Pieces
from oxillama.text.tokenizers.vocab import CONTROL, USER_DEFINED, load_vocab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from oxillama.gguf import GGUFFile
    from oxillama.text.tokenizers.metadata import Metadata

# Each is replaced by one character, so that spans stay valid.
_SURROGATE = re.compile("[\ud800-\udfff]")


class Encoder(Protocol):
    """Encodes a text that is already split into special tokens (as ids) and the text between them."""

    def encode(self, pieces: Sequence[str | int]) -> list[int]: ...


class Tokenizer:
    """The tokenizer of one model. Threads may share it.

    model: the value of tokenizer.ggml.model. n_vocab: the number of tokens. bos_id, eos_id: None if the vocabulary has
    no such token. eog_ids: every token that ends a generation. fim: the tokens for filling in the middle, or None.
    """

    def __init__(self, metadata: Metadata) -> None:
        """metadata: a GGUF file's (key → value). Raises ModelFormatError or ModelUnsupportedError, naming the key."""
        vocab = load_vocab(metadata)
        make = _MODELS.get(vocab.model)
        if make is None:
            known = ", ".join(_MODELS)
            raise ModelUnsupportedError(f"tokenizer.ggml.model {vocab.model[:60]!r} is not one of {known}.")
        self._vocab = vocab
        self.model = vocab.model
        self.n_vocab = len(vocab)
        self.bos_id: int | None = vocab.special.get("bos")
        self.eos_id: int | None = vocab.special.get("eos")
        self.eog_ids = vocab.eog_ids
        self.fim = fim_tokens(vocab.special, vocab.ids)
        self._splitter = SpecialSplitter(vocab)
        self._prefix: list[int] = []
        self._suffix: list[int] = []
        self._strips_space = False
        byte_level = make(self)
        self._pieces = Pieces(vocab, byte_level=byte_level)

    @classmethod
    def from_gguf(cls, source: str | os.PathLike[str] | GGUFFile) -> Tokenizer:
        """The tokenizer of a GGUF file. `source`: a path, or an open file. The file may have no tensors.

        Raises OSError if the file cannot be read, ModelFormatError if it is damaged, and ModelUnsupportedError if this
        version does not know its kind of vocabulary.
        """
        if isinstance(source, (str, os.PathLike)):
            from oxillama.gguf import GGUFFile

            source = GGUFFile(source)
        try:
            return cls(source.metadata)
        except (ModelFormatError, ModelUnsupportedError) as error:
            raise type(error)(f"{source.path}: {error}") from None

    def encode(self, text: str | PromptText, add_special: bool = True, parse_special: bool = False) -> list[int]:
        """The token ids of a text. Lone surrogates are replaced by U+FFFD.

        add_special: add the tokens that the model expects at the ends (BOS, EOS, CLS, SEP). A BOS is not added if the
        text already begins with one; a CLS is. parse_special: texts of control tokens become those tokens, except in
        the content of a PromptText. User-defined tokens are always found.

        Raises InvalidParameterError for a text that the pre-tokenizer cannot split.
        """
        if isinstance(text, PromptText):
            pieces = self._splitter.split(_SURROGATE.sub("\ufffd", text.text), parse_special, text.content)
        else:
            pieces = self._splitter.split(valid_unicode(text), parse_special)
        ids = self._encoder.encode(pieces) if pieces else []
        if not add_special:
            return ids
        # WordPiece frames a text whatever it begins with.
        given = self.model != "bert" and self._prefix and ids[: len(self._prefix)] == self._prefix
        prefix = [] if given else self._prefix
        return [*prefix, *ids, *self._suffix]

    def decode(self, ids: Iterable[int], *, special: bool = False) -> bytes:
        """The bytes of the tokens' text, not always valid UTF-8. Removes the space that encoding adds in front.

        special: include the texts of control tokens. Raises InvalidParameterError for an id outside the vocabulary.
        """
        checked = [self._check(i) for i in ids]
        if self._strips_space:
            start = 0
            while start < len(checked) and self.is_control(checked[start]):
                start += 1
            head, checked = checked[:start], checked[start:]
        else:
            head = []
        piece = self._pieces.piece if special else self._pieces.visible
        body = b"".join(map(piece, checked))
        if self._strips_space and body.startswith(b" "):
            body = body[1:]
        return b"".join(map(piece, head)) + body

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes the token adds to a text; b"" for a control token. Raises InvalidParameterError if out of range."""
        return self._pieces.visible(self._check(token_id))

    def token_text(self, token_id: int) -> str:
        """The token as the vocabulary spells it. Raises InvalidParameterError if out of range."""
        return self._vocab.tokens[self._check(token_id)].encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def is_control(self, token_id: int) -> bool:
        """Whether the output never shows the token's text. Raises InvalidParameterError if out of range."""
        return self._pieces.is_hidden(self._check(token_id))

    def is_special(self, token_id: int) -> bool:
        """Whether it is a control or user-defined token. Raises InvalidParameterError if out of range."""
        return bool(self._vocab.attrs[self._check(token_id)] & (CONTROL | USER_DEFINED))

    @property
    def special_texts(self) -> dict[str, str]:
        """The texts of the special tokens, by the names that chat templates use: bos_token, eos_token, …"""
        named = {
            "bos_token": self.bos_id,
            "eos_token": self.eos_id,
            "unk_token": self._vocab.special.get("unknown"),
            "pad_token": self._vocab.special.get("padding"),
            "sep_token": self._vocab.special.get("seperator"),
            "mask_token": self._vocab.special.get("mask"),
        }
        return {name: self.token_text(i) for name, i in named.items() if i is not None}

    @property
    def suffix_ids(self) -> tuple[int, ...]:
        """The tokens that `encode` adds at the end of a text."""
        return tuple(self._suffix)

    @property
    def doubles_ends(self) -> bool:
        """Whether two texts that are read together have these tokens twice between them, as XLM-R has."""
        return self._vocab.add_sep

    def find(self, text: str) -> int | None:
        """The id of the token with this text, such as "<|im_end|>"; None if the vocabulary has no such token."""
        return self._vocab.ids.get(text)

    def _check(self, token_id: int) -> int:
        try:
            inside = 0 <= token_id < self.n_vocab and token_id == int(token_id)
        except (TypeError, ValueError):
            inside = False
        if not inside:
            raise InvalidParameterError(
                f"Token id {str(token_id)[:40]} is outside the vocabulary of {self.n_vocab} tokens."
            )
        return int(token_id)

    def _set_ends(self, *, bos: bool, eos: bool) -> None:
        vocab = self._vocab
        add_bos = vocab.add_bos if vocab.add_bos is not None else bos
        add_eos = vocab.add_eos if vocab.add_eos is not None else eos
        self._prefix = [self.bos_id] if add_bos and self.bos_id is not None else []
        self._suffix = [self.eos_id] if add_eos and self.eos_id is not None else []

    # Each sets the encoder and the tokens added at the ends. It returns whether tokens are spelled in GPT-2's byte
    # alphabet.

    def _make_spm(self) -> bool:
        from oxillama.text.tokenizers.algorithms.spm import SpmEncoder

        self._encoder: Encoder = SpmEncoder(self._vocab)
        self._strips_space = self._vocab.add_space_prefix is not False
        self._set_ends(bos=True, eos=False)
        return False

    def _make_bpe(self) -> bool:
        from oxillama.text.tokenizers.algorithms.bpe import bpe_encoder

        self._encoder, pre = bpe_encoder(self._vocab)
        if not pre.has_bos and self._vocab.special.get("bos") is None:
            self.bos_id = None
        self._set_ends(bos=pre.add_bos, eos=False)
        return pre.byte_level

    def _make_wordpiece(self) -> bool:
        from oxillama.text.tokenizers.algorithms.wordpiece import wordpiece_encoder

        self._encoder = wordpiece_encoder(self._vocab)
        self._strips_space = True
        ends: Sequence[tuple[str, list[int]]] = (("bos", self._prefix), ("seperator", self._suffix))
        for name, where in ends:
            if name in self._vocab.special:
                where.append(self._vocab.special[name])
        return False

    def _make_unigram(self) -> bool:
        from oxillama.text.tokenizers.algorithms.unigram import UnigramEncoder

        self._encoder = UnigramEncoder(self._vocab)
        self._strips_space = self._vocab.add_space_prefix is not False
        self._set_ends(bos=False, eos=True)
        return False

    def _make_rwkv(self) -> bool:
        from oxillama.text.tokenizers.algorithms.rwkv import RwkvEncoder

        self._encoder = RwkvEncoder(self._vocab)
        return False


_MODELS: dict[str, Callable[[Tokenizer], bool]] = {
    "llama": Tokenizer._make_spm,
    "gpt2": Tokenizer._make_bpe,
    "gemma4": Tokenizer._make_bpe,
    "bert": Tokenizer._make_wordpiece,
    "t5": Tokenizer._make_unigram,
    "rwkv": Tokenizer._make_rwkv,
}
