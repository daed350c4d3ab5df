"""From a text to the token ids of a prompt: which special tokens it has, and what an empty text begins with.

A prompt begins with the token that the model wants at the beginning of a text, once, also where the text spells it. It
does not end with the token that ends a text, for it asks for more. Texts of control tokens are those tokens, except in
the content of a PromptText, so never in what a chat's messages say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oxillama.text import PromptText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxillama.engine.api.protocol import EngineLike, TokenizerLike

MOST_USUAL_CHARACTERS = 16
"""Characters that a token has at most in usual texts; longer ones only cost a second look."""


async def prompt_ids(engine: EngineLike, text: str | PromptText) -> tuple[int, ...]:
    """The prompt that a text makes. A long text is encoded in a worker thread.

    Of a text whose beginning alone is too long for the context, the ids of that beginning: the engine refuses them
    (`check_request`), and the rest would only be work.
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
    """The ids of a text as a prompt: with the token that begins texts, if the model wants it and it is not there.

    An empty text has nothing to continue: it becomes the token that begins a text, or ends the one before. Nothing
    where a vocabulary has neither.
    """
    bos = tokenizer.bos_id
    if bos is not None and tuple(ids[:1]) != (bos,) and tokenizer.encode("", True)[:1] == [bos]:
        return (bos, *ids)
    return tuple(ids) or next(((i,) for i in (bos, tokenizer.eos_id, *sorted(tokenizer.eog_ids)) if i is not None), ())
