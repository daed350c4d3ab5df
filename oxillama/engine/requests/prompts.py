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


async def prompt_ids(engine: EngineLike, text: str | PromptText) -> tuple[int, ...]:
    """The prompt for a text. A long text is encoded in a worker thread.

    If the beginning of a text is already too long for the context, only the ids of that beginning are returned. The
    engine refuses them (`check_request`), so encoding the rest would be wasted work.
    """
    beginning = MOST_USUAL_CHARACTERS * engine.n_ctx
    if len(text) > beginning:
        start = text[:beginning] if isinstance(text, str) else text.beginning(beginning)
        ids = await _encoded(engine, start)
        if len(ids) > engine.n_ctx + 1:  # one more, since the cut may have split a token
            return ids
    return await _encoded(engine, text)


async def _encoded(engine: EngineLike, text: str | PromptText) -> tuple[int, ...]:
    return completed(engine.tokenizer, await engine.encode(text, add_special=False, parse_special=True))


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
