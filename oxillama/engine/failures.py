"""Errors of steps: which end a single request, and what its reader gets."""

from __future__ import annotations

import logging

from oxillama.errors import GenerationError, InvalidParameterError, KVCacheFullError, OxillamaError

log = logging.getLogger(__name__)

STEP_ERRORS = (GenerationError, InvalidParameterError, KVCacheFullError, MemoryError)
"""Errors that a single sequence can cause in a step. Any other error is a failure of the engine."""


def readable(error: Exception, what: str) -> OxillamaError:
    """The error for the reader of `what`, such as "the generation". What is not meant for readers is logged."""
    if isinstance(error, OxillamaError):
        return error
    log.error("%s failed", what, exc_info=error)
    reason = GenerationError(f"{what} failed: {type(error).__name__}: {error}")
    reason.__cause__ = error
    return reason
