"""Every exception a caller of oxillama may see.

OxillamaError
 ├─ ModelError            a model file cannot be used
 │   ├─ ModelFormatError      damaged, hostile or wrong
 │   └─ ModelUnsupportedError well formed, but this version cannot run it
 ├─ InvalidParameterError a value the caller gave (also a ValueError)
 │   └─ ContextLengthError    the prompt does not fit the context
 ├─ ObjectNotFoundError   no stored object has this id
 ├─ StateConflictError    the object's state does not allow this now
 ├─ EngineBusyError       too many requests are waiting
 ├─ EngineClosedError     the engine has stopped or failed
 ├─ GenerationError       this request's computation failed; others go on
 ├─ KVCacheFullError      no free KV pages
 ├─ TemplateError         the model's chat template failed, or exceeded its limits
 └─ StoreError            the data directory
     ├─ StoreReadOnlyError    an fsync failed: nothing is accepted until restart
     ├─ StoreFullError        no space left; the write was undone
     └─ StoreDamagedError     one stored object cannot be read

A missing or unreadable file is the usual OSError.
"""

from __future__ import annotations

import os


class OxillamaError(Exception):
    """Base of all errors raised on purpose; its text is one line fit for a user."""


class ModelError(OxillamaError):
    """A model file cannot be used; the text names the file and the key or tensor."""


class ModelFormatError(ModelError):
    """The file is damaged, hostile or wrong."""


class ModelUnsupportedError(ModelError):
    """The file is well formed, but this version cannot run it."""


class InvalidParameterError(OxillamaError, ValueError):
    """A parameter has a value that cannot be honoured.

    `param` is the parameter's path as the caller wrote it, `code` a stable machine-readable reason.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class ContextLengthError(InvalidParameterError):
    """The prompt (with the requested completion) does not fit the model's context."""


class ObjectNotFoundError(OxillamaError):
    """No stored object of this kind has this id."""

    def __init__(self, kind: str, object_id: str) -> None:
        super().__init__(f"No {kind} found with id '{object_id[:200]}'.")
        self.kind = kind
        self.object_id = object_id


class StateConflictError(OxillamaError):
    """The state of a stored object does not allow this: a locked thread, a run that has ended."""


class EngineBusyError(OxillamaError):
    """As many requests are waiting as the engine may hold; `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EngineClosedError(OxillamaError):
    """The engine has stopped, or failed as a whole."""


class GenerationError(OxillamaError):
    """This request's computation failed; other requests go on."""


class InsufficientMemoryError(OxillamaError, MemoryError):
    """A model does not fit into the memory there is."""


class StepCancelledError(GenerationError):
    """The step was cancelled; nothing was changed."""


class KVCacheFullError(OxillamaError):
    """No free KV pages; nothing was changed."""


class TemplateError(OxillamaError):
    """A chat template failed or exceeded its limits."""


class StoreError(OxillamaError):
    """The data directory could not be read or written."""


class StoreReadOnlyError(StoreError):
    """An fsync failed; nothing is accepted until restart."""


class StoreFullError(StoreError):
    """No space is left; the write was undone."""


class StoreDamagedError(StoreError):
    """One stored object cannot be read; others are served."""


def describe(error: BaseException) -> str:
    """The message of an expected error, for the user."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, OxillamaError):
        name = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return f"{name}{error.strerror}"
    return str(error) or type(error).__name__
