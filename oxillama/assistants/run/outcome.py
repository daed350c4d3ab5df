"""The outcome of a run before it is stored."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from oxillama.assistants.records import RunError, RunStatus
from oxillama.assistants.records.transitions import NOT_STORED
from oxillama.errors import EngineBusyError, InvalidParameterError, OxillamaError, StoreError, TemplateError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. error: why it failed. incomplete: the budget that it used up."""

    status: RunStatus
    error: RunError | None = None
    incomplete: str | None = None

    @classmethod
    def failed(cls, error: BaseException) -> Outcome:
        """The outcome of an exception, with a message for the run's client."""
        if isinstance(error, StoreError):  # its message names paths, which only the log may show
            _log.error("run failed: %s", error)
            return cls(RunStatus.FAILED, NOT_STORED)
        if isinstance(error, OxillamaError):
            return cls(RunStatus.FAILED, RunError(_code(error), str(error)))
        _log.error("run failed", exc_info=error)
        return cls(RunStatus.FAILED, RunError("server_error", "The server had an error while processing the run."))


def _code(error: OxillamaError) -> str:
    """The code of a run's error: whether to ask later, to ask otherwise, or to look at the server."""
    if isinstance(error, EngineBusyError):
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, InvalidParameterError | TemplateError) else "server_error"
