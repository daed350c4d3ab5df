"""Words of a conversation in place of others: the same text, but about words that nobody has said before.

Some tokens of a vocabulary are rare in generated texts, and a network that has seldom seen a token cannot copy it. A
swapped conversation has a random token of the vocabulary for some of its own, the same wherever the token stands, so
what could be copied still can be, and every token is copied about as often as any other.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from oxillama.embedded.learning.vocabulary import SPACE

if TYPE_CHECKING:
    from tokenizers import Tokenizer

KEPT = 300  # words that stay, because most conversations have them and they say what is meant
SHARES = (0.0, 0.25, 0.7)  # of the other words, how many are swapped in a conversation
WEIGHTS = (35, 30, 35)


class Swaps:
    """Which tokens of a vocabulary are words or parts of words, with and without a space before them."""

    def __init__(self, tokenizer: Tokenizer, samples: Sequence[Sequence[int]], kept: int = KEPT) -> None:
        """samples: conversations as ids. As many of their words as `kept`, the most frequent, stay."""
        vocabulary = tokenizer.get_vocab()
        words = {text: i for text, i in vocabulary.items() if text.isascii() and text.isalpha() and len(text) > 1}
        spaced = {i: vocabulary[SPACE + text] for text, i in words.items() if SPACE + text in vocabulary}
        self._spaced = spaced
        self._base = {i: i for i in words.values()} | {other: i for i, other in spaced.items()}
        self._capital = {i: text[0].isupper() for text, i in words.items()}
        # By whether they begin with a capital and whether there is one with a space.
        self._kinds: dict[tuple[bool, bool], list[int]] = {}
        for capital in (False, True):
            of_kind = [i for i in words.values() if self._capital[i] == capital]
            self._kinds[capital, False] = of_kind
            self._kinds[capital, True] = [i for i in of_kind if i in spaced]
        counts = Counter(base for ids in samples for base in {self._base[i] for i in ids if i in self._base})
        self._kept = {base for base, _ in counts.most_common(kept)}

    def apply(self, ids: list[int], rng: random.Random) -> list[int]:
        """A conversation with a share of its words swapped, drawn from SHARES."""
        share = rng.choices(SHARES, WEIGHTS)[0]
        if not share:
            return ids
        spaced = {self._base[i] for i in ids if i in self._base and self._base[i] != i}
        new: dict[int, int] = {}
        for base in sorted({self._base[i] for i in ids if i in self._base} - self._kept):
            if rng.random() < share:
                other = new[base] = rng.choice(self._kinds[self._capital[base], base in spaced])
                if base in spaced:
                    new[self._spaced[base]] = self._spaced[other]
        return [new.get(i, i) for i in ids]
