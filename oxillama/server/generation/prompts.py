"""Texts and token ids in requests, which may be one or several."""

from __future__ import annotations

from typing import Any

from oxillama.engine.requests.check import check_length
from oxillama.server.wire.invalid import invalid_type, json_type, out_of_range, wrong_length

_IDS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}


def schema_of(most: int, *, nullable: bool) -> dict[str, Any]:
    """What a request takes: a text, a list of texts, a list of token ids, or a list of such lists."""
    lists = [
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": most},
        _IDS,
        {"type": "array", "items": _IDS, "minItems": 1, "maxItems": most},
    ]
    return {"anyOf": [{"type": "string"}, *lists, *([{"type": "null"}] if nullable else [])]}


def texts_or_ids(value: Any, param: str, *, most: int, n_vocab: int, n_ctx: int | None) -> list[str | tuple[int, ...]]:
    """The texts of `schema_of(most)`, or their token ids in range, n_ctx at most. Raises APIError."""
    if isinstance(value, str):
        return [value]
    if not value:
        raise wrong_length(param, "array", ">=", 1, value)
    first = value[0]
    if isinstance(first, (str, list)) and len(value) > most:
        raise wrong_length(param, "array", "<=", most, value)
    if isinstance(first, str):
        return [_string(text, f"{param}[{at}]") for at, text in enumerate(value)]
    if isinstance(first, list):
        return [_tokens(ids, f"{param}[{at}]", n_vocab, n_ctx) for at, ids in enumerate(value)]
    return [_tokens(value, param, n_vocab, n_ctx)]


def _string(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise invalid_type(path, ["str"], json_type(value))
    return value


def _tokens(value: Any, path: str, n_vocab: int, n_ctx: int | None) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise invalid_type(path, ["array"], json_type(value))
    if not value:
        raise wrong_length(path, "array", ">=", 1, value)
    if n_ctx is not None:
        check_length(len(value), n_ctx, path, room=0)
    for at, token in enumerate(value):
        if type(token) is not int:
            raise invalid_type(f"{path}[{at}]", ["int"], json_type(token))
        if not 0 <= token < n_vocab:
            op, bound = (">=", 0) if token < 0 else ("<=", n_vocab - 1)
            raise out_of_range(f"{path}[{at}]", "int", op, bound, token)
    return tuple(value)
