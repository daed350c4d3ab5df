"""From a text to the token ids of a prompt: which special tokens it has, and what an empty text begins with.

A prompt begins with the token that the model wants at the beginning of a text, once, also where the text spells it. It
does not end with the token that ends a text, because it is to be continued. Text that spells a control token becomes
that token, except in the content of a PromptText, and so never in chat messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.text import PromptText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxillama.engine.api.protocol import EngineLike, TokenizerLike

MOST_USUAL_CHARACTERS = 16
"""The maximum characters per token in usual texts. Longer tokens only cost a second encoding."""
MOST_SPLIT = 128
"""The maximum tokens at the end of a text's beginning that differ in the whole text, since the cut splits a word."""


async def prompt_ids(engine: EngineLike, text: str | PromptText) -> tuple[int, ...]:
    """The prompt for a text. If it is too long for the context, possibly only the ids of its beginning.

    The engine refuses them (`check_request`).
    """
    ids = await bounded_ids(engine, text, engine.n_ctx, add_special=False, parse_special=True)
    return completed(engine.tokenizer, ids)


async def bounded_ids(
    engine: EngineLike, text: str | PromptText, most: int, *, add_special: bool, parse_special: bool
) -> tuple[int, ...]:
    """The ids of a text; a long text is encoded in a worker thread.

    If the beginning of a text already has more than `most` tokens, only the ids of that beginning are returned.
    Callers refuse such a text or cut it, so encoding the rest would be wasted work. The first `most` are those of the
    whole text, except for what `add_special` adds at its end.
    """
    beginning = MOST_USUAL_CHARACTERS * most
    if len(text) > beginning:
        start = text[:beginning] if isinstance(text, str) else text.beginning(beginning)
        ids = await engine.encode(start, add_special=add_special, parse_special=parse_special)
        if len(ids) > most + MOST_SPLIT:
            return tuple(ids)
    return tuple(await engine.encode(text, add_special=add_special, parse_special=parse_special))


def text_ids(tokenizer: TokenizerLike, text: str | PromptText) -> tuple[int, ...]:
    """`prompt_ids` in the caller's thread."""
    return completed(tokenizer, tokenizer.encode(text, add_special=False, parse_special=True))


def completed(tokenizer: TokenizerLike, ids: Sequence[int]) -> tuple[int, ...]:
    """The ids of a text as a prompt, with the token that begins texts if the model wants it and the text lacks it.

    An empty text becomes the token that begins a text, else the token that ends one. It stays empty if the vocabulary
    has neither.
    """
    bos = tokenizer.bos_id
    if bos is not None and tuple(ids[:1]) != (bos,) and tokenizer.encode("", True)[:1] == [bos]:
        return (bos, *ids)
    return tuple(ids) or next(((i,) for i in (bos, tokenizer.eos_id, *sorted(tokenizer.eog_ids)) if i is not None), ())
