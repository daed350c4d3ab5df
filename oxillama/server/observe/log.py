"""Structured log lines on stderr: one per request, and failures. Never a body, a header or a key."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

import structlog
from hypercorn.logging import Logger as HypercornLogger

from oxillama.server.observe.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypercorn.config import Config
    from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

    from oxillama.server.config import ServerConfig

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def make_logger(config: ServerConfig) -> FilteringBoundLogger:
    """The server's own logger; the process's logging stays as it is."""
    sink = Sink()

    def count_lost(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        if sink.lost:
            event["lost_lines"] = sink.lost
        return event

    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        count_lost,
    ]
    if config.log_format == "json":
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        plain = structlog.dev.plain_traceback
        processors += [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=plain), _escaped]
    logger = structlog.wrap_logger(
        structlog.WriteLogger(cast("TextIO", sink)),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[config.log_level]),
    )
    return cast("FilteringBoundLogger", logger)


def _escaped(_: WrappedLogger, __: str, text: Any) -> str:
    """The text with control characters as escapes: a request's path must not reach the reader's terminal as commands.
    """
    if "".join(text.split("\n")).isprintable():
        return str(text)
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def process_logging(log: FilteringBoundLogger) -> Iterator[None]:
    """Send everything that the process would write to stderr to `log`: logging, warnings and failures of threads.

    Only for a process that runs nothing but the server.
    """
    handler = _Forward(log)
    root = logging.getLogger()
    kept = root.handlers[:], root.level, threading.excepthook, sys.unraisablehook
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    threading.excepthook = lambda args: log.critical("thread failed", exc_info=args.exc_value)
    sys.unraisablehook = lambda args: log.error(args.err_msg or "error ignored", exc_info=args.exc_value)
    try:
        yield
    finally:
        root.handlers[:], level, threading.excepthook, sys.unraisablehook = kept
        root.setLevel(level)
        logging.captureWarnings(False)


class _Forward(logging.Handler):
    """Python's log records as lines of `log`."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = " ".join(record.getMessage().split())
            about: dict[str, Any] = {"logger": record.name}
            if record.exc_info:
                about["exc_info"] = record.exc_info
            self._log.log(record.levelno // 10 * 10, message, **about)
        except Exception as error:  # a record whose arguments do not fit its message
            self._log.error("log record lost", logger=record.name, error=repr(error))


def hypercorn_logger(log: FilteringBoundLogger) -> type[HypercornLogger]:
    """A logger class for hypercorn that passes its errors to `log` and drops its other messages."""

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
