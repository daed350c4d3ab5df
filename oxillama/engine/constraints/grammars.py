"""A model's grammars: compiled once, kept while they are in use."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from llguidance import LLMatcher, LLParserLimits

from oxillama.engine.api.constraint import DISTINCT
from oxillama.engine.constraints.distinct import DistinctFollower
from oxillama.engine.constraints.follower import GrammarFollower, fill_mask, forced_tokens
from oxillama.engine.constraints.problems import grammar_error
from oxillama.engine.constraints.trial import try_grammar
from oxillama.engine.constraints.vocabulary import Pieces, ll_tokenizer
from oxillama.engine.token_texts import TokenTexts
from oxillama.errors import InvalidParameterError
from oxillama.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from llguidance import LLTokenizer

    from oxillama.engine.api.protocol import TokenizerLike

T = TypeVar("T")

MOST_KEPT = 64
"""Grammars kept for the next request with the same text; each is a few hundred kilobytes, and its automaton more."""

LONGEST = 1 << 18
"""Characters of a grammar's text."""

STACK = 256 << 20
"""Bytes of stack for compiling. llguidance goes down a chain of rules by recursion, with 3 KB for each, and LONGEST
characters are 32,000 rules at most. Only what is used takes memory."""

LIMITS: dict[str, int] = {
    "max_items_in_row": 20_000,
    "initial_lexer_fuel": 1_000_000,
    "step_lexer_fuel": 200_000,
    "step_max_items": 50_000,
    "max_lexer_states": 50_000,
    "max_grammar_size": 200_000,
}
"""What a grammar may cost. A row is a place in the text; each alternative there is an item or a few, and an object may
have a thousand members. About 50 ms to construct its regular expressions, 15 ms for a token's mask, and 100 MB of
automaton. With 152,064 tokens, the mask where one of a thousand members may begin takes 6 ms, 0.3 ms elsewhere."""


class Grammar:
    """A compiled grammar. See `engine.api.constraint.Constraint`."""

    def __init__(self, matcher: LLMatcher, n_vocab: int, n_words: int, pieces: Pieces | None = None) -> None:
        """pieces: of the vocabulary, if DISTINCT is in the grammar."""
        self.n_vocab = n_vocab
        self._matcher = matcher
        self._pieces = pieces
        self._mask: npt.NDArray[np.uint32] = np.empty(n_words, np.uint32)
        fill_mask(matcher, self._mask)
        self._forced = forced_tokens(matcher)
        if matcher.is_error():
            raise grammar_error(matcher.get_error())

    def follow(self) -> GrammarFollower | DistinctFollower:
        if self._pieces is not None:
            return DistinctFollower(self._matcher.deep_copy(), len(self._mask), self.n_vocab, self._pieces)
        return GrammarFollower(self._matcher.deep_copy(), self._mask, self._forced)


class Grammars:
    """Compiles grammars for a vocabulary of n_vocab logits. Threads may share it."""

    def __init__(
        self, tokenizer: TokenizerLike, n_vocab: int, texts: Callable[[], TokenTexts] | None = None
    ) -> None:
        """texts: gives the texts of the vocabulary's tokens, if somebody else needs them as well."""
        self._tokenizer = tokenizer
        self._pieces = Pieces(tokenizer, n_vocab, texts or self._texts)
        self._n_vocab = n_vocab
        self._kept: Kept[str, Grammar] = Kept(MOST_KEPT)
        self._making = threading.Lock()  # of `_made`
        self._made: LLTokenizer | None = None

    def _texts(self) -> TokenTexts:
        return TokenTexts([self._tokenizer.token_bytes(i) for i in range(min(self._tokenizer.n_vocab, self._n_vocab))])

    def prepare(self) -> None:
        """Read the vocabulary now, not for the first grammar. See `ll_tokenizer` for what it costs. Blocks."""
        self._vocabulary()

    def _vocabulary(self) -> LLTokenizer:
        with self._making:
            if self._made is None:
                self._made = ll_tokenizer(self._tokenizer, self._n_vocab)
            return self._made

    def find(self, text: str) -> Grammar | None:
        """The grammar with this text, if it is still kept."""
        return self._kept.find(text)

    def compile(self, text: str, *, foreign: bool = False) -> Grammar:
        """The grammar with this text, in llguidance's variant of Lark's syntax. Blocks, mostly without the GIL.

        foreign: somebody else wrote it, or a part of it. It is tried in a child process first, if it is not known.
        Threads that want the same grammar at once share its trial and its compilation.

        Raises InvalidParameterError, in one line, for a grammar that is wrong, empty or too large.
        """
        if len(text) > LONGEST:
            raise InvalidParameterError(
                f"the grammar is {len(text)} characters long; at most {LONGEST} are allowed", code="invalid_grammar"
            )

        def make() -> Grammar:
            if foreign:
                try_grammar(text, LIMITS)
            return _with_stack(self._compiled, text)

        return self._kept.get(text, make)

    def _compiled(self, text: str) -> Grammar:
        vocabulary = self._vocabulary()
        limits = LLParserLimits(verbose_errors=False, **LIMITS)  # type: ignore[arg-type]  # of the other bool
        matcher = LLMatcher(vocabulary, text, log_level=0, limits=limits)
        if matcher.is_error():
            raise grammar_error(matcher.get_error())
        pieces = None
        if DISTINCT in text:
            pieces = self._pieces
            pieces.prepare()
        return Grammar(matcher, self._n_vocab, (vocabulary.vocab_size + 31) // 32, pieces)


_starting = threading.Lock()  # the size of new threads' stacks is the process's, so one sets it at a time


def _with_stack(work: Callable[[str], T], text: str) -> T:
    """Call `work` in a thread with a large stack. Returns its result, or raises its error."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work(text))
        except BaseException as error:
            result.set_exception(error)

    with _starting:
        before = threading.stack_size(STACK)
        try:
            thread = threading.Thread(target=run, name="oxillama-grammar", daemon=True)
            thread.start()
        finally:
            threading.stack_size(before)
    thread.join()
    return result.result()
