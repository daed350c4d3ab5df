"""A wire format's markers in one alphabet, whether they are special tokens or plain text.

A marker that is a special token of the vocabulary counts by the token's id only: text that merely spells it is text.
Inside parsers such a token is one private character, a lone surrogate, which no decoded text contains. Therefore a
parser is a plain machine over strings, and does not care which markers are tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Protocol

_FIRST = 0xD800
_PRIVATE = re.compile("[\ud800-\udfff]")


class Vocabulary(Protocol):
    """`oxillama.text.Tokenizer`, as markers use it."""

    def find(self, text: str) -> int | None: ...

    def is_special(self, token_id: int) -> bool: ...

    def token_bytes(self, token_id: int) -> bytes: ...


class Markers:
    """Which of the given texts are special tokens. Threads may share it.

    chars: token id → its private character.
    """

    def __init__(self, texts: Iterable[str], vocabulary: Vocabulary | None) -> None:
        """texts: texts that may be single tokens. vocabulary: None: there are no special tokens."""
        self.chars: dict[int, str] = {}
        self._char_of: dict[str, str] = {}
        self._visible: dict[str, str] = {}
        self._ids: dict[str, int] = {}
        for text in sorted(set(texts) - {""}):
            token_id = vocabulary.find(text) if vocabulary is not None else None
            if vocabulary is None or token_id is None or not vocabulary.is_special(token_id):
                continue
            char = chr(_FIRST + len(self.chars))
            self.chars[token_id] = self._char_of[text] = char
            self._ids[char] = token_id
            self._visible[char] = vocabulary.token_bytes(token_id).decode("utf-8", "replace")
        longest_first = sorted(self._char_of, key=len, reverse=True)
        self._find = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def encode(self, text: str) -> str:
        """The text with each special token's text replaced by its private character."""
        return self._find.sub(lambda m: self._char_of[m[0]], text) if self._find is not None else text

    def visible(self, text: str) -> str:
        """The text with private characters replaced by what users see of the token: nothing of a control token."""
        return _PRIVATE.sub(lambda m: self._visible.get(m[0], ""), text)

    def spelled(self, text: str) -> str:
        """The opposite of `encode`."""
        back = {char: word for word, char in self._char_of.items()}
        return _PRIVATE.sub(lambda m: back.get(m[0], ""), text)

    @property
    def ids(self) -> Mapping[str, int]:
        """Private character → token id."""
        return self._ids
