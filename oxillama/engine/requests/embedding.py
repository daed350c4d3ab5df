"""From texts, and pairs of a query and a document, to the checked token ids of a request for vectors or scores.

A text is framed as the model wants it (CLS and SEP, or an end-of-text token). Texts of control tokens count as those,
as in the libraries that these models are published for. In a pair's template they count only outside of what users
wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from oxillama.engine.requests.check import check_ids
from oxillama.engine.requests.prompts import bounded_ids
from oxillama.errors import ContextLengthError, InvalidParameterError
from oxillama.text import PromptText
from oxillama.text.prompt_text import prompt_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oxillama.engine.api.embedding import Embedder, EmbeddingRequest
    from oxillama.engine.api.protocol import EngineLike, TokenizerLike

Ids = tuple[int, ...]


def vector_ids(tokenizer: TokenizerLike, text: str) -> Ids:
    """The ids of a text that becomes a vector."""
    return tuple(tokenizer.encode(text, True, True))


def pair_ids(tokenizer: TokenizerLike, embedder: Embedder, query: str, document: str) -> Ids:
    """The ids of a query and a document that a model scores together: by the file's template, or one after the other,
    each with the tokens that end a text."""
    if embedder.pair_template is not None:
        return tuple(tokenizer.encode(_filled(embedder.pair_template, query, document), True, True))
    ends = tuple(tokenizer.suffix_ids)
    between = ends if tokenizer.doubles_ends else ()
    first = tuple(tokenizer.encode(query, True))
    return (*first, *between, *tokenizer.encode(document, False), *ends)


async def vector_prompt(engine: EngineLike, text: str) -> Ids:
    """`vector_ids`; a long text is encoded in a worker thread. Of one that is too long, possibly only the beginning."""
    return await bounded_ids(engine, text, engine.embedder.max_tokens, add_special=True, parse_special=True)


async def pair_prompts(engine: EngineLike, query: str, documents: Sequence[str], *, cut: bool) -> list[Ids]:
    """`pair_ids` of a query and each document; long texts are encoded in worker threads.

    cut: shorten documents that are too long. What follows a document stays, since a model may give its score there.

    Raises ContextLengthError with `param`: "query" if it leaves no room for a document, or the first document that is
    too long.
    """
    template, most = engine.embedder.pair_template, engine.embedder.max_tokens
    ends = tuple(engine.tokenizer.suffix_ids)

    async def encoded(text: str | PromptText, add_special: bool) -> Ids:
        return await bounded_ids(engine, text, most, add_special=add_special, parse_special=template is not None)

    async def unended(text: str | PromptText) -> Ids:
        ids = await encoded(text, True)
        return ids[: len(ids) - len(ends)]

    if template is None:
        before, after = "", ""
        head, tail = (*await encoded(query, True), *(ends if engine.tokenizer.doubles_ends else ())), ends
    else:
        before, mark, after = template.rpartition("{document}")
        before += mark
        head = await unended(_filled(before, query, ""))
        tail = (*await encoded(_filled(after, query, ""), False), *ends)
    around = len(head) + len(tail)
    if around >= most:
        raise ContextLengthError(
            f"Invalid 'query': it leaves no room for a document: a pair has {around} tokens without one, "
            f"and this model takes at most {most}.",
            param="query",
            code="context_length_exceeded",
        )
    pairs = []
    for at, document in enumerate(documents):
        if template is None:
            ids = (*head, *await encoded(document, False), *tail)
        else:
            ids = await encoded(_filled(template, query, document), True)
        if cut and len(ids) > most:
            start = ids if template is None else await unended(_filled(before, query, document))
            ids = (*start[: most - len(tail)], *tail)
        _check_length(ids, f"documents[{at}]", most)
        pairs.append(ids)
    return pairs


def _filled(template: str, query: str, document: str) -> PromptText:
    pieces: list[str | PromptText] = []
    for n, part in enumerate(template.split("{query}")):
        if n:
            pieces.append(PromptText.of_content(query))
        for m, rest in enumerate(part.split("{document}")):
            if m:
                pieces.append(PromptText.of_content(document))
            pieces.append(rest)
    return prompt_text(*pieces)


def fitted(tokenizer: TokenizerLike | None, ids: Ids, most: int) -> Ids:
    """At most `most` ids: the beginning of the text, with the tokens that end one."""
    if len(ids) <= most:
        return ids
    ends = tuple(tokenizer.suffix_ids) if tokenizer is not None else ()
    if not ends or len(ends) >= most or ids[-len(ends) :] != ends:
        return ids[:most]
    return (*ids[: most - len(ends)], *ends)


def check_embedding(request: EmbeddingRequest, embedder: Embedder, *, n_vocab: int, model: str) -> None:
    """Raises ContextLengthError or InvalidParameterError, with `param`, for a request that cannot run."""
    if embedder.pooling is None:
        check_embeds(embedder, model)
    for ids, param in zip(request.texts, request.params, strict=True):
        if not ids:
            raise InvalidParameterError(f"Invalid '{param}': it has no tokens.", param=param, code="empty_input")
        _check_length(ids, param, embedder.max_tokens)
        check_ids(ids, n_vocab, param)
    if request.dimensions is not None and not 1 <= request.dimensions <= embedder.width:
        raise InvalidParameterError(
            f"Invalid 'dimensions': {request.dimensions} is not between 1 and the model's {embedder.width}.",
            param="dimensions",
        )


def _check_length(ids: Ids, param: str, most: int) -> None:
    if len(ids) > most:
        raise ContextLengthError(
            f"Invalid '{param}': it has {len(ids)} tokens, and this model takes at most {most}.",
            param=param,
            code="context_length_exceeded",
        )


def check_embeds(embedder: Embedder, model: str) -> None:
    """Raises InvalidParameterError for a model that does not give one vector for each text."""
    if embedder.pooling in ("mean", "cls", "last"):
        return
    why = {
        None: "was not opened for embeddings: open it with a pooling, such as --pooling mean",
        "rank": "scores texts and gives no vectors: use /v1/rerank, or open it with --pooling mean",
        "none": "gives a vector for each token, not for a text: open it with --pooling mean, cls or last",
    }[embedder.pooling]
    raise InvalidParameterError(f"{model} {why}.", param="model", code="model_without_embeddings")


def check_reranks(embedder: Embedder, model: str) -> None:
    """Raises InvalidParameterError for a model that cannot say how well a document answers a query."""
    if not embedder.reranks:
        raise InvalidParameterError(
            f"{model} has no head that scores a query and a document, so it cannot rerank.",
            param="model",
            code="model_without_rerank",
        )


def check_generates(embedder: Embedder, model: str) -> None:
    """Raises InvalidParameterError for a model that only gives vectors or scores."""
    if not embedder.generates:
        use = "/v1/rerank" if embedder.pooling == "rank" else "/v1/embeddings"
        raise InvalidParameterError(
            f"{model} generates no text: it only reads. Use {use}, or `oxillama embed`.",
            param="model",
            code="model_without_generation",
        )


def check_pooling(embedder: Embedder, pooling: str | None) -> None:
    """Raises InvalidParameterError for a pooling that is unknown, or that the model was not opened with."""
    if pooling is not None and pooling not in ("mean", "last", "cls", "none"):
        raise InvalidParameterError(
            f"Invalid 'pooling': {pooling!r} is not one of 'mean', 'last', 'cls', 'none'.", param="pooling"
        )
    if None not in (pooling, embedder.pooling) and pooling != embedder.pooling:
        raise InvalidParameterError(
            f"Invalid 'pooling': the model was opened with pooling {embedder.pooling!r}, not {pooling!r}.",
            param="pooling",
        )


def as_texts(texts: Any) -> tuple[bool, list[str | tuple[int, ...]]]:
    """Whether a caller gave one text, and the texts, each as it is or as token ids."""
    if isinstance(texts, str):
        return True, [texts]
    items = list(texts)
    if not items:
        raise InvalidParameterError("Invalid 'texts': there are none.", param="texts")
    if all(isinstance(item, (int, np.integer)) for item in items):
        return True, [tuple(map(int, items))]
    return False, [item if isinstance(item, str) else tuple(map(int, item)) for item in items]
