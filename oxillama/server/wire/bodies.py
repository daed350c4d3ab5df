"""A request's JSON body, from bytes to a typed struct.

The order is for safety: size cap (Quart's, by Content-Length and by count), content type, nesting scan, strict
UTF-8, strict JSON (no NaN, no lone surrogates, nothing after the value), then one typed decode. An absent body is `{}`,
because official clients send a JSON content type without a body. Of duplicate keys the last one counts.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

import msgspec
from quart import request

from oxillama.concurrency import in_thread
from oxillama.server.wire.errors import APIError, bad_request
from oxillama.server.wire.invalid import explain

T = TypeVar("T")

GZIP = b"\x1f\x8b"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
MAX_DEPTH = 128
MAX_CONTAINERS = 200_000
LARGE = 64 * 1024  # bytes; larger bodies are read in a worker thread so that the event loop stays free

# Everything up to the next brackets, then a run of brackets. Strings match whole, so brackets in them do not count.
_BRACKETS = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+"?)*+([\[{]++|[\]}]++)', re.DOTALL)
_decoders: dict[type, msgspec.json.Decoder[Any]] = {}


async def read_body(kind: type[T]) -> T:
    """The current request's body as `kind`. Raises APIError (400, 413, 415) or RequestTimeout (408)."""
    body = cast("bytes", await request.get_data())
    if not body.strip():
        body = b"{}"
    else:
        _check_headers()
    if len(body) > LARGE:
        return await in_thread(parse, body, kind)
    return parse(body, kind)


def parse(body: bytes, kind: type[T]) -> T:
    """`body` as `kind`; blocking. Raises APIError with `param` and `code`."""
    check_nesting(body)
    try:
        body.decode("utf-8")  # also in the parts that the typed decode skips
        return _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        raise explain(str(error), body, kind) from None
    except UnicodeDecodeError as error:
        raise _not_utf8(body, error.start) from None
    except msgspec.DecodeError as error:
        raise _malformed(str(error)) from None
    except RecursionError:
        raise _too_deep() from None


def check_nesting(body: bytes, limit: int = MAX_DEPTH) -> None:
    """Raise APIError 400 when arrays and objects are nested deeper than `limit`, or there are far too many."""
    opens = body.count(b"[") + body.count(b"{")
    if opens <= limit:
        return
    depth = seen = 0
    for match in _BRACKETS.finditer(body):
        run = match.group(1)
        if run[:1] in b"[{":
            depth += len(run)
            seen += len(run)
            if depth > limit:
                raise _too_deep()
            if seen > MAX_CONTAINERS:
                raise bad_request("The JSON body of your request holds too many arrays and objects.")
        else:
            depth -= len(run)


def _too_deep() -> APIError:
    return bad_request(f"The JSON body of your request is nested deeper than {MAX_DEPTH} levels.")


def _malformed(detail: str) -> APIError:
    return bad_request(f"We could not parse the JSON body of your request. (HINT: {detail}.)")


def _not_utf8(body: bytes, at: int) -> APIError:
    if body.startswith(GZIP):
        return _malformed("it is compressed with gzip, which this API does not take: send it as plain JSON")
    if body.startswith(UTF_16):
        return _malformed("it is UTF-16, but JSON is sent as UTF-8")
    return _malformed(f"it is not UTF-8 at byte {at}")


def _check_headers() -> None:
    """Accept JSON, or no type at all. Foreign web pages can send other types without a CORS preflight."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise APIError(
            415,
            f"Unsupported content encoding: '{encoding[:100]}'. Send the body as plain JSON, without Content-Encoding.",
            headers={"Accept-Encoding": "identity"},
        )
    mimetype = request.mimetype.lower()
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    is_json = not mimetype or mimetype == "application/json" or mimetype.endswith("+json")
    if not is_json or charset not in ("utf-8", "utf8", "us-ascii"):
        shown = request.headers.get("Content-Type", "")[:100]
        raise APIError(
            415,
            f"Unsupported content type: '{shown}'. Send JSON (UTF-8) with the header 'Content-Type: application/json'.",
        )


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    return decoder
