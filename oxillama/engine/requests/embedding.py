"""From texts, and pairs of a query and a document, to the checked token ids of a request for vectors or scores.

A text is framed as the model wants it (CLS and SEP, or an end-of-text token). Texts of control tokens count as those,
as in the libraries that these models are published for. In a pair's template they count only outside of what users
wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from oxillama.engine.requests.check import check_ids
from oxillama.engine.requests.prompts import bounded_ids
from oxillama.errors import ContextLengthError, InvalidParameterError
from oxillama.text import PromptText
from oxillama.text.prompt_text import prompt_text

if TYPE_CHECKING:
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


async def pair_prompt(engine: EngineLike, query: str, document: str) -> Ids:
    """`pair_ids` without blocking other requests for long."""
    await trio.lowlevel.checkpoint()
    return pair_ids(engine.tokenizer, engine.embedder, query, document)


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
        if len(ids) > embedder.max_tokens:
            raise ContextLengthError(
                f"Invalid '{param}': it has {len(ids)} tokens, and this model takes at most {embedder.max_tokens}.",
                param=param,
                code="context_length_exceeded",
            )
        check_ids(ids, n_vocab, param)
    if request.dimensions is not None and not 1 <= request.dimensions <= embedder.width:
        raise InvalidParameterError(
            f"Invalid 'dimensions': {request.dimensions} is not between 1 and the model's {embedder.width}.",
            param="dimensions",
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
