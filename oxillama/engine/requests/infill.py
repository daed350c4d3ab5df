"""Fill-in-the-middle: from the text before and after a gap to the prompt that asks a model for what is between them.

The text that is given never becomes control tokens: a source file may spell them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxillama.engine.requests.prompts import MOST_USUAL_CHARACTERS, bounded_ids, completed
from oxillama.errors import InvalidParameterError

if TYPE_CHECKING:
    from oxillama.engine.api.protocol import EngineLike
    from oxillama.text.tokenizers.fim import FimTokens

REPOSITORY, FILE = "myproject\n", "filename\n"
"""What names stand in a prompt with other files, as llama.cpp's server writes them: requests do not say them."""
SNIPPET = "\n\n--- snippet ---\n\n"
"""What stands before another file's text for a model without a token for that, as in llama.cpp's server."""
NO_SPACE = "☺"
"""Vocabularies like SentencePiece's put a space before every text. Behind this character, there is none."""
SUFFIX_SHARE = 4
"""1/SUFFIX_SHARE of the room is the suffix's where prefix and suffix do not both fit, as in llama.cpp's server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherFile:
    """A part of another file that the model may look at."""

    text: str
    name: str = "tmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What stands around a gap. prefix: a text or token ids. beginning: how the text in the gap begins."""

    prefix: str | tuple[int, ...]
    suffix: str
    beginning: str = ""
    others: tuple[OtherFile, ...] = ()


def fim_of(engine: EngineLike, param: str) -> FimTokens:
    """The model's tokens for filling in. Raises InvalidParameterError, naming the parameter, if it has none."""
    found = engine.tokenizer.fim
    if found is None:
        raise InvalidParameterError(
            f"Unsupported parameter: '{param}' is not supported by the model {engine.model_name}: its vocabulary has "
            "no tokens for filling in the middle.",
            param=param,
            code="unsupported_parameter",
        )
    return found


async def infill_prompt(engine: EngineLike, gap: Gap, *, param: str, answer: int | None = None) -> tuple[int, ...]:
    """The prompt of a gap.

    answer: cut what does not fit the context beside an answer of so many tokens: other files first, from the first one
    on, then the beginning of the prefix and the end of the suffix. None: cut nothing; the engine refuses what is too
    long. Raises InvalidParameterError, naming the parameter, for a model that cannot fill in.
    """
    fim = fim_of(engine, param)
    begun = await _ids(engine, gap.beginning)
    cuts = answer is not None
    prefix = gap.prefix if isinstance(gap.prefix, tuple) else await _prefix_ids(engine, gap.prefix, cut=cuts)
    suffix = await _without_space(engine, gap.suffix)
    others = [await _other_ids(engine, fim, other) for other in gap.others]
    head = await _head_ids(engine, fim) if others else ((), ())
    if answer is not None:
        room = engine.n_ctx - answer - len(begun) - 4  # three markers, and a token that begins texts
        n_suffix = min(len(suffix), max(room // SUFFIX_SHARE, room - len(prefix), 0))
        suffix = suffix[:n_suffix]
        prefix = prefix[max(0, len(prefix) - max(room - n_suffix, 0)) :]
        room -= len(prefix) + len(suffix) + sum(map(len, head))
        while others and sum(map(len, others)) > room:
            del others[0]
    before = (*head[0], *(i for ids in others for i in ids), *head[1]) if others else ()
    middle = () if fim.middle is None else (fim.middle,)
    parts = ((fim.prefix, *prefix), (fim.suffix, *suffix))
    first, second = parts[::-1] if fim.suffix_first else parts
    return completed(engine.tokenizer, (*before, *first, *second, *middle, *begun))


async def _head_ids(engine: EngineLike, fim: FimTokens) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What stands before other files, and between them and the file with the gap."""
    if fim.separator is None:
        return (), ()
    repository = () if fim.repository is None else (fim.repository, *await _without_space(engine, REPOSITORY))
    return repository, (fim.separator, *await _without_space(engine, FILE))


async def _other_ids(engine: EngineLike, fim: FimTokens, other: OtherFile) -> tuple[int, ...]:
    if fim.separator is None:
        return await _without_space(engine, SNIPPET + other.text)
    return fim.separator, *await _without_space(engine, f"{other.name}\n{other.text}")


async def _ids(engine: EngineLike, text: str) -> tuple[int, ...]:
    """The ids of a text, or of its beginning if it is far too long for the context; none for an empty one."""
    if not text:
        return ()
    return await bounded_ids(engine, text, engine.n_ctx, add_special=False, parse_special=False)


async def _prefix_ids(engine: EngineLike, text: str, *, cut: bool) -> tuple[int, ...]:
    """The ids of a text; with `cut`, of its end if it is far too long for the context."""
    if not cut or not text:
        return await _ids(engine, text)
    return tuple(await engine.encode(text[-MOST_USUAL_CHARACTERS * engine.n_ctx :], add_special=False))


async def _without_space(engine: EngineLike, text: str) -> tuple[int, ...]:
    """The ids of a text without the space that the vocabulary may put before texts."""
    if not text:
        return ()
    mark = tuple(await engine.encode(NO_SPACE, add_special=False))
    ids = await _ids(engine, NO_SPACE + text)
    return ids[len(mark) :] if ids[: len(mark)] == mark else await _ids(engine, text)
