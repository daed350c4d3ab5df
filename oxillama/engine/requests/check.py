"""The one place where a request is checked before it runs. Later code relies on valid token ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from oxillama.errors import ContextLengthError, InvalidParameterError

if TYPE_CHECKING:
    from oxillama.engine.api.types import GenerationRequest


def check_ids(ids: Iterable[int], n_vocab: int, param: str) -> None:
    """Raises InvalidParameterError unless every id is an int of the vocabulary."""
    for token in ids:
        if type(token) is not int or not 0 <= token < n_vocab:
            raise InvalidParameterError(
                f"Invalid '{param}': token id {str(token)[:40]} is not between 0 and {n_vocab - 1}.",
                param=param,
                code="invalid_token_id",
            )


def check_length(n_prompt: int, n_ctx: int, param: str, *, room: int) -> None:
    """Raises ContextLengthError, in the words that clients match on, unless `room` more tokens fit the context.

    param: the caller's name for the prompt.
    """
    if n_prompt + room > n_ctx:
        noun = "messages" if param == "messages" else "prompt"
        raise ContextLengthError(
            f"This model's maximum context length is {n_ctx} tokens. However, your {noun} resulted in {n_prompt} "
            f"tokens. Please reduce the length of the {noun}.",
            param=param,
            code="context_length_exceeded",
        )


def check_request(request: GenerationRequest, *, n_ctx: int, n_vocab: int, has_text: bool) -> None:
    """Raises ContextLengthError or InvalidParameterError, with `param`, for a request that cannot run."""
    prompt, sampling, param = request.prompt_ids, request.sampling, request.param
    if not prompt:
        raise InvalidParameterError(f"Invalid '{param}': it has no tokens.", param=param, code="empty_prompt")
    # Before the ids are checked, so that refusing a far too long prompt is cheap.
    check_length(len(prompt), n_ctx, param, room=0 if sampling.max_tokens == 0 else 1)
    check_ids(prompt, n_vocab, param)
    check_ids((token for token in sampling.logit_bias if not isinstance(token, str)), n_vocab, "logit_bias")
    check_ids(sampling.stop_token_ids, n_vocab, "stop_token_ids")
    if sampling.stop and request.reader is not None:
        raise InvalidParameterError("Invalid 'stop': the reader of a request finds its stop strings.", param="stop")
    for name in ("stop", "banned_strings"):
        if getattr(sampling, name) and not has_text:
            raise InvalidParameterError(f"Invalid '{name}': this model has no vocabulary to find it in.", param=name)
    if not has_text and any(isinstance(token, str) for token in sampling.logit_bias):
        fault = "Invalid 'logit_bias': this model has no vocabulary for strings."
        raise InvalidParameterError(fault, param="logit_bias")
    if request.constraint is not None and request.constraint.n_vocab != n_vocab:
        raise InvalidParameterError("The grammar was compiled for another model.", param=param)
    if request.prompt_logprobs is not None and not 0 <= request.prompt_logprobs <= 20:
        raise InvalidParameterError(
            f"Invalid 'logprobs': {request.prompt_logprobs} is not between 0 and 20.", param="logprobs"
        )
