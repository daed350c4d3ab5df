"""Whether a pattern is found in a text. Clients write both.

An automaton tells, in time linear in the text. Python's own `re` goes back, and for `(a+)+$` it does so exponentially.
"""

from __future__ import annotations

import json
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from oxillama.chat.schemas.pattern import PatternError, quoted_pattern

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

MOST_PATTERNS = 64
"""Of one schema that are looked for, and whose automata are kept: making one takes 3 ms, using it 4 us."""


def found_in(pattern: object, text: str) -> bool:
    """Whether a pattern is found in a text; one that is no text is found everywhere.

    Raises PatternError for a pattern that has no expression, or whose automaton is too large for the text.
    """
    if not isinstance(pattern, str):
        return True
    matcher = _automaton(pattern).deep_copy()
    spelled = list(json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass"))
    read = matcher.validate_tokens(spelled)
    if matcher.is_error() or (read == len(spelled) and spelled and not matcher.consume_tokens(spelled)):
        raise PatternError("has an automaton that is too large")
    return read == len(spelled) and matcher.is_accepting()


@lru_cache(MOST_PATTERNS)
def _automaton(pattern: str) -> LLMatcher:
    from llguidance import LLMatcher, LLParserLimits

    limits = LLParserLimits(  # less than 10 MB of automaton
        initial_lexer_fuel=200_000, step_lexer_fuel=20_000, max_lexer_states=10_000, verbose_errors=False
    )
    matcher = LLMatcher(_bytes(), f"start: /{quoted_pattern(pattern)}/", log_level=0, limits=limits)
    if matcher.is_error():
        raise PatternError("has an automaton that is too large")
    return matcher


@cache
def _bytes() -> LLTokenizer:
    from llguidance import LLTokenizer, TokenizerWrapper

    return LLTokenizer(TokenizerWrapper(_Bytes()), n_vocab=len(_Bytes.tokens), eos_token=_Bytes.eos_token_id, slices=[])


class _Bytes:
    """A vocabulary of bytes."""

    eos_token_id, bos_token_id = 256, None
    tokens = (*(bytes([byte]) for byte in range(256)), b"<end>")
    special_token_ids = (256,)

    def __call__(self, text: str | bytes) -> list[int]:
        return list(text if isinstance(text, bytes) else text.encode())
