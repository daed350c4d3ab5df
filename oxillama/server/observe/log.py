"""Structured log lines on stderr: one per request, and failures. Never a body, a header or a key."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, cast

import structlog
from hypercorn.logging import Logger as HypercornLogger

if TYPE_CHECKING:
    from hypercorn.config import Config
    from structlog.typing import FilteringBoundLogger, Processor

    from oxillama.server.config import ServerConfig


def make_logger(config: ServerConfig) -> FilteringBoundLogger:
    """A logger of its own: the process's logging is left as it is."""
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if config.log_format == "json":
        shared += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        shared += [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    level = getattr(logging, config.log_level.upper())
    logger = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return cast("FilteringBoundLogger", logger)


def hypercorn_logger(log: FilteringBoundLogger) -> type[HypercornLogger]:
    """A logger class for hypercorn that hands its failures to `log` and leaves out its chatter."""

    class Forwarding(HypercornLogger):
        def __init__(self, config: Config) -> None:
            self.access_logger = self.error_logger = None

        async def warning(self, message: str, *args: Any, **kwargs: Any) -> None:
            log.warning(message % args if args else message)

        async def error(self, message: str, *args: Any, **kwargs: Any) -> None:
            log.error(message % args if args else message)

        async def critical(self, message: str, *args: Any, **kwargs: Any) -> None:
            log.critical(message % args if args else message)

        async def exception(self, message: str, *args: Any, **kwargs: Any) -> None:
            log.exception(message % args if args else message)

    return Forwarding
