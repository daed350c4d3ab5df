"""SentencePiece BPE (`llama`): neighbours merge, best score first, into tokens; what is no token becomes bytes.

The library's BPE ranks pairs, SentencePiece ranks results and, among equals, the leftmost; so this is our own. Text is
cut before each run of spaces where no token could reach across, and what a word becomes is remembered.
"""

from __future__ import annotations

import re
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from oxillama.text.partition import SpecialSplitter

if TYPE_CHECKING:
    from oxillama.text.vocab import Vocab

SPACE = "\u2581"
_INNER_SPACE = re.compile(f"[^{SPACE}]{SPACE}")
_WORDS = re.compile(f"{SPACE}*[^{SPACE}]+|{SPACE}+")
_CACHED_WORDS = 1 << 15
_CACHED_LENGTH = 64


class SpmEncoder:
    def __init__(self, vocab: Vocab) -> None:
        self._vocab = vocab
        self._ids = vocab.ids
        self._scores: list[float] = vocab.scores.tolist()
        self._space_prefix = vocab.add_space_prefix is not False
        self._unknown = vocab.special.get("unknown")
        self._splitter = SpecialSplitter(vocab)
        self._by_word = not any(
            SPACE in token[1:] and _INNER_SPACE.search(token) and self._can_merge(token) for token in vocab.tokens
        )
        self._cache: dict[str, list[int]] = {}

    def _can_merge(self, token: str) -> bool:
        """Whether some pair of pieces makes this token; a special token's text is mostly out of reach."""
        ids = self._ids
        return any(
            (i == 1 or token[:i] in ids) and (i == len(token) - 1 or token[i:] in ids) for i in range(1, len(token))
        )

    def encode(self, text: str, parse_special: bool) -> list[int]:
        ids: list[int] = []
        after_special = True
        for piece in self._splitter.split(text, parse_special):
            if isinstance(piece, int):
                ids.append(piece)
                after_special = True
                continue
            if after_special and self._space_prefix:
                piece = " " + piece
            self._encode_text(piece.replace(" ", SPACE), ids)
            after_special = False
        return ids

    def _encode_text(self, text: str, ids: list[int]) -> None:
        if not self._by_word:
            ids.extend(self._merge(text))
            return
        cache = self._cache
        for word in _WORDS.findall(text):
            known = cache.get(word)
            if known is None:
                known = self._merge(word)
                if len(word) <= _CACHED_LENGTH:
                    if len(cache) >= _CACHED_WORDS:
                        cache.clear()
                    cache[word] = known
            ids.extend(known)

    def _merge(self, text: str) -> list[int]:
        """Linear-logarithmic: each merge takes one entry from the heap and adds two at most."""
        ids, scores = self._ids, self._scores
        whole = ids.get(text) if len(text) == 1 else None
        if whole is not None:
            return [whole]
        n = len(text)
        end = list(range(1, n + 1))  # piece i is text[i:end[i]]; 0 where it was merged into another
        before = list(range(-1, n - 1))
        heap: list[tuple[float, int, int]] = []
        for i in range(n - 1):
            token = ids.get(text[i : i + 2])
            if token is not None:
                heap.append((-scores[token], i, i + 2))
        heapify(heap)
        while heap:
            _, left, stop = heappop(heap)
            middle = end[left]
            # Outdated: the left piece is gone or grew, or the right piece grew.
            if middle == 0 or middle >= stop or end[middle] != stop:
                continue
            end[left] = stop
            end[middle] = 0
            if stop < n:
                before[stop] = left
                token = ids.get(text[left : end[stop]])
                if token is not None:
                    heappush(heap, (-scores[token], left, end[stop]))
            previous = before[left]
            if previous >= 0:
                token = ids.get(text[previous:stop])
                if token is not None:
                    heappush(heap, (-scores[token], previous, stop))
        out: list[int] = []
        at = 0
        while at < n:
            piece = text[at : end[at]]
            token = ids.get(piece)
            if token is not None:
                out.append(token)
            else:
                self._spell(piece, out)
            at = end[at]
        return out

    def _spell(self, piece: str, out: list[int]) -> None:
        byte_ids = self._vocab.byte_ids
        for byte in piece.encode():
            token = byte_ids.get(byte, self._unknown)
            if token is not None:
                out.append(token)
