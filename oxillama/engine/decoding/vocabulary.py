"""The vocabulary as generation needs it, also for a model without one."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from oxillama.engine.decoding.banned import BannedStrings
from oxillama.engine.decoding.output import ReaderOutput, TextOutput
from oxillama.engine.token_texts import TokenTexts
from oxillama.errors import OxillamaError
from oxillama.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oxillama.engine.api.protocol import TokenizerLike
    from oxillama.engine.api.types import GenerationRequest
    from oxillama.engine.constraints.grammars import Grammars
    from oxillama.engine.decoding.output import Output
    from oxillama.text import Tokenizer


MOST_LISTS = 16
"""How many lists of banned strings are kept ready for requests that send the same."""


class Vocabulary:
    """A model's `n_vocab` and, if the file has one, the tokenizer that gives its tokens texts.

    A model may have more logits than its tokenizer has tokens (padding): such ids have no text.
    """

    def __init__(self, tokenizer: TokenizerLike | None, n_vocab: int) -> None:
        self.tokenizer = tokenizer
        self.n_vocab = n_vocab
        self.n_named = min(n_vocab, tokenizer.n_vocab) if tokenizer is not None else 0
        self._banned: Kept[tuple[str, ...], BannedStrings] = Kept(MOST_LISTS)
        self._texts: TokenTexts | None = None
        self._sorting = threading.Lock()  # of `_texts`
        self.eog_ids = frozenset(i for i in tokenizer.eog_ids if i < n_vocab) if tokenizer is not None else frozenset()

    @cached_property
    def grammars(self) -> Grammars:
        """Compiles grammars for this vocabulary. Raises OxillamaError if there is none."""
        from oxillama.engine.constraints.grammars import Grammars

        if self.tokenizer is None:
            raise OxillamaError("a model without a vocabulary cannot follow a grammar")
        return Grammars(self.tokenizer, self.n_vocab, self.token_texts)

    def token_bytes(self, token_id: int) -> bytes:
        """The token's text in bytes; empty if it has none."""
        if self.tokenizer is None or token_id >= self.n_named:
            return b""
        return self.tokenizer.token_bytes(token_id)

    def hidden_text(self, token_id: int) -> str:
        """How the vocabulary spells a control token; "" for tokens that readers see."""
        tokenizer = self.tokenizer
        if tokenizer is None or token_id >= self.n_named or not tokenizer.is_control(token_id):
            return ""
        return tokenizer.token_text(token_id)

    def banned_strings(self, strings: tuple[str, ...]) -> BannedStrings:
        """What finds the tokens that complete one of the strings. Takes up to a second for a new list of strings; any
        thread may call it."""
        return self._banned.get(strings, lambda: BannedStrings(strings, self.token_texts()))

    def token_texts(self) -> TokenTexts:
        """Sorting them takes a fraction of a second, once."""
        with self._sorting:
            if self._texts is None:
                self._texts = TokenTexts([self.token_bytes(i) for i in range(self.n_vocab)])
            return self._texts

    def token_biases(self, biases: Mapping[Any, float]) -> dict[int, float]:
        """A request's `logit_bias` by token. A string's bias is that of each token that it consists of; several biases
        of a token add up."""
        found: dict[int, float] = {}
        for key, bias in biases.items():
            tokens = {key}
            if isinstance(key, str):
                assert self.tokenizer is not None
                tokens = {token for token in self.tokenizer.encode(key, False) if token < self.n_vocab}
            for token in tokens:
                found[token] = found.get(token, 0.0) + bias
        return found

    def output(self, request: GenerationRequest) -> Output:
        """What the events of a new generation show."""
        if request.reader is not None:
            return ReaderOutput(request.reader())
        if self.tokenizer is None:
            return TextOutput(None, None)
        from oxillama.text import StopMatcher, StreamDetokenizer

        stops = StopMatcher(request.sampling.stop) if request.sampling.stop else None
        detokenizer = StreamDetokenizer(cast("Tokenizer", self))  # it uses only token_bytes
        drop_space = self._begins_a_text(request.prompt_ids)
        return TextOutput(detokenizer, stops, drop_space=drop_space, hidden_text=self.hidden_text)

    def _begins_a_text(self, prompt: tuple[int, ...]) -> bool:
        """Whether the first token begins with the space that vocabularies like SentencePiece's put before every text:
        true if only control tokens precede it."""
        tokenizer = self.tokenizer
        if tokenizer is None or not self._puts_space_first:
            return False
        return all(i < self.n_named and tokenizer.is_control(i) for i in prompt)

    @cached_property
    def _puts_space_first(self) -> bool:
        ids = self.tokenizer.encode("x", False) if self.tokenizer is not None else []
        return bool(ids) and self.token_bytes(ids[0]).startswith(b" ")
