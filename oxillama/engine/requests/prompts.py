"""From a conversation or a text to the token ids of a prompt, through whatever engine it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxillama.errors import ContextLengthError, InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oxillama.engine.api.protocol import EngineLike

MOST_USUAL_CHARACTERS = 16
"""Characters that a token has at most in usual texts; longer ones only cost a second look."""


async def chat_prompt(engine: EngineLike, messages: Sequence[Mapping[str, Any]], **kwargs: Any) -> tuple[int, ...]:
    """The prompt of a conversation; kwargs go to the chat template.

    Most templates write the beginning-of-text token themselves; a model that wants one gets it exactly once.
    Raises TemplateError, ContextLengthError or InvalidParameterError (with param `messages`).
    """
    text = await engine.render_chat(messages, **kwargs)
    await _refuse_far_too_long(engine, text, "messages")
    return checked_prompt(engine, await rendered_ids(engine, text), "messages")


async def rendered_ids(engine: EngineLike, text: str) -> list[int]:
    """The token ids of what a chat template has written, however many they are."""
    ids = await engine.encode(text, add_special=False, parse_special=True)
    bos = engine.tokenizer.bos_id
    if bos is not None and ids[:1] != [bos] and engine.tokenizer.encode("", add_special=True)[:1] == [bos]:
        ids.insert(0, bos)
    return ids


async def text_prompt(engine: EngineLike, text: str) -> tuple[int, ...]:
    """The prompt of a plain text, with the special tokens the model wants around one; also of an empty text.

    Special tokens written out in the text stand for themselves. Raises as `chat_prompt`, with param `prompt`.
    """
    await _refuse_far_too_long(engine, text, "prompt")
    ids = await engine.encode(text, add_special=True, parse_special=True)
    if not ids:
        # Nothing to continue from: the token that begins a text, or ends the one before.
        tokenizer = engine.tokenizer
        ids = [t for t in (tokenizer.bos_id, tokenizer.eos_id) if t is not None][:1]
    return checked_prompt(engine, ids, "prompt")


async def _refuse_far_too_long(engine: EngineLike, text: str, param: str) -> None:
    """Raise ContextLengthError when the beginning of the text alone does not fit, without the work of the rest."""
    beginning = MOST_USUAL_CHARACTERS * engine.n_ctx
    if len(text) > beginning:
        ids = await engine.encode(text[:beginning], add_special=False, parse_special=True)
        if len(ids) > engine.n_ctx + 1:  # one more, since the cut may have split a token
            raise context_exceeded(engine.n_ctx, len(ids), param)


def checked_prompt(engine: EngineLike, ids: Sequence[int], param: str) -> tuple[int, ...]:
    """`ids`, if there are any and they fit the context with room for one more."""
    if not ids:
        raise InvalidParameterError(f"Invalid '{param}': it has no tokens.", param=param, code="empty_string")
    if len(ids) > engine.n_ctx:
        raise context_exceeded(engine.n_ctx, len(ids), param)
    return tuple(ids)


def context_exceeded(n_ctx: int, n_prompt: int, param: str) -> ContextLengthError:
    """The error for a prompt of `n_prompt` tokens (or more), in the words clients match on."""
    noun = "messages" if param == "messages" else "prompt"
    return ContextLengthError(
        f"This model's maximum context length is {n_ctx} tokens. However, your {noun} resulted in {n_prompt} tokens. "
        f"Please reduce the length of the {noun}.",
        param=param,
        code="context_length_exceeded",
    )
