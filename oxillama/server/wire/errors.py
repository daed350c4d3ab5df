"""The OpenAI error envelope, and the status of each exception. All error bodies are written here."""

from __future__ import annotations

import math
from collections.abc import Mapping

from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestTimeout

from oxillama.concurrency import single
from oxillama.errors import (
    ContextLengthError,
    EngineBusyError,
    EngineClosedError,
    GenerationError,
    InvalidParameterError,
    KVCacheFullError,
    ObjectNotFoundError,
    OxillamaError,
    StateConflictError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    TemplateError,
)
from oxillama.server.wire.answer import Answer
from oxillama.server.wire.unserved import explain_unknown_path

INVALID_REQUEST = "invalid_request_error"
SERVER_ERROR = "server_error"
SERVER_FAULT = "The server had an error while processing your request. Sorry about that!"
MAX_RETRY_AFTER = 60  # official clients behave differently above it
NO_RETRY = {"x-should-retry": "false"}


class ErrorBody(Answer, kw_only=True):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(Answer, kw_only=True):
    """The body of every error."""

    error: ErrorBody


class APIError(OxillamaError):
    """An error as it is sent: the envelope's fields, the status and extra headers."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = INVALID_REQUEST,  # noqa: A002  (the wire's name)
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.param = param
        self.code = code
        self.headers = dict(headers or {})

    def envelope(self) -> ErrorEnvelope:
        """The body."""
        return ErrorEnvelope(error=ErrorBody(message=str(self), type=self.type, param=self.param, code=self.code))


def bad_request(message: str, *, param: str | None = None, code: str | None = None) -> APIError:
    """400. Also for state conflicts: official clients would retry a 409."""
    return APIError(400, message, param=param, code=code)


def not_found(message: str, *, param: str | None = None, code: str | None = None) -> APIError:
    """404 for an unknown id."""
    return APIError(404, message, param=param, code=code)


def unavailable(message: str, *, retry_after: float = 5.0) -> APIError:
    """503, with the seconds after which to retry."""
    return APIError(503, message, type=SERVER_ERROR, headers={"Retry-After": _seconds(retry_after)})


def api_error(error: BaseException, *, method: str = "", path: str = "") -> APIError | None:
    """The answer to `error`; None for a bug, which is logged and answered with `server_fault`."""
    error = single(error)
    match error:
        case APIError():
            return error
        case HTTPException():
            return _from_http(error, method, path)
        case ContextLengthError():
            return bad_request(str(error), param=error.param, code="context_length_exceeded")
        case InvalidParameterError():
            return bad_request(str(error), param=error.param, code=error.code or "invalid_value")
        case ObjectNotFoundError():
            return not_found(str(error))
        case StateConflictError():
            return bad_request(str(error))
        case EngineBusyError():
            headers = {"Retry-After": _seconds(error.retry_after)}
            kind = "rate_limit_exceeded"
            return APIError(429, str(error), type=kind, code=kind, headers=headers)
        case EngineClosedError() | KVCacheFullError():
            return unavailable(str(error))
        case StoreError():
            return _from_store(error)
        case TemplateError():
            return bad_request(str(error), param="messages", code="chat_template_error")
        case GenerationError():
            return APIError(500, str(error), type=SERVER_ERROR, headers=NO_RETRY)
    return None


def server_fault() -> APIError:
    """500 for a bug. It reveals no internals."""
    return APIError(500, SERVER_FAULT, type=SERVER_ERROR)


def _from_http(error: HTTPException, method: str, path: str) -> APIError:
    status = error.code or 500
    if status >= 500:
        return server_fault()
    if isinstance(error, MethodNotAllowed):
        message = f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)"
        return APIError(405, message, headers={"Allow": ", ".join(sorted(error.valid_methods or ()))})
    if isinstance(error, RequestTimeout):
        return APIError(408, "The request body took too long to arrive.", headers={"Connection": "close"} | NO_RETRY)
    if status == 404:
        message, code = explain_unknown_path(method, path)
        return not_found(message, code=code)
    if status == 413:
        return APIError(413, "The request body is too large.")
    return APIError(status if status >= 400 else 404, f"{error.name}: {error.description}")


def _from_store(error: StoreError) -> APIError:
    """The kind of failure. The error's own text names paths on the server, so it goes only to the log."""
    if isinstance(error, StoreFullError):
        message = "The server has no space left to store this. Nothing was changed."
        return APIError(507, message, type=SERVER_ERROR, headers=NO_RETRY)
    if isinstance(error, StoreReadOnlyError):
        return unavailable("The server cannot store anything until it is restarted.")
    what = "is damaged and cannot be read" if isinstance(error, StoreDamagedError) else "could not be stored"
    return APIError(500, f"This object {what}; the server's log says more.", type=SERVER_ERROR, headers=NO_RETRY)


def _seconds(delay: float) -> str:
    return str(min(MAX_RETRY_AFTER, max(1, math.ceil(delay))))
