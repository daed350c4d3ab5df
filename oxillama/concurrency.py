"""The one place that takes errors out of exception groups and sends blocking calls to threads.

Trio is imported on first use, because the command line handles errors before it needs Trio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    import trio

P = ParamSpec("P")
T = TypeVar("T")


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors inside nested exception groups, in order; `error` itself if it is not a group."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def single(error: BaseException) -> BaseException:
    """The one failure inside nested exception groups, or `error` itself if there are several, or none.

    A Cancelled beside a failure only says that the failure ended its siblings. It is not lost: as long as its scope is
    cancelled, the next checkpoint raises it again. A group of nothing but Cancelled is left as it is, for its scope.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    failures = [leaf for leaf in leaves(error) if not _is_cancelled(leaf)]
    return failures[0] if len(failures) == 1 else error


def split_cancelled(group: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """(what is Trio's cancellation, what has failed): two parts of a group, each None if there is no such error."""
    if isinstance(group, BaseExceptionGroup):
        return group.split(_is_cancelled)
    return (group, None) if _is_cancelled(group) else (None, group)


@asynccontextmanager
async def open_nursery() -> AsyncIterator[trio.Nursery]:
    """A nursery that raises a single failure as itself, not in a group."""
    import trio

    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        error = single(group)
        if error is group:
            raise
        context = error.__context__
        try:
            raise error
        finally:
            error.__context__ = context  # restore it: `raise` has replaced it with the group
            del error, context


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in a worker thread.

    If the caller is cancelled, a call that has begun is still waited for, so that its outcome is known. A call that is
    still waiting for a thread does not begin.
    """
    import trio

    return await trio.to_thread.run_sync(partial(function, *args, **kwargs))


class Offload:
    """`in_thread` with its own threads, so that one kind of work does not wait for another."""

    def __init__(self, threads: int) -> None:
        import trio

        self._limiter = trio.CapacityLimiter(threads)

    async def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        import trio

        return await trio.to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._limiter)


def _is_cancelled(error: BaseException) -> bool:
    import trio

    return isinstance(error, trio.Cancelled)
