"""Unwrapping exception groups and calling into threads loses no error and no cancellation."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
import trio.testing

from oxillama.concurrency import Offload, in_thread, leaves, open_nursery, single, split_cancelled

A, B = ValueError("a"), KeyError("b")


async def make_cancelled() -> trio.Cancelled:
    """A Cancelled; only Trio can create one."""
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            kept = error
            raise
    return kept


async def fail(error: BaseException) -> None:
    raise error


async def run_together(*tasks: Callable[[], Awaitable[None]]) -> None:
    async with open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(task)


async def test_a_single_failure_is_found_however_deep_it_lies() -> None:
    cancelled = await make_cancelled()

    assert single(A) is A
    assert single(ExceptionGroup("", [ExceptionGroup("", [A])])) is A
    assert single(BaseExceptionGroup("", [cancelled, ExceptionGroup("", [A]), cancelled])) is A


async def test_several_failures_stay_together() -> None:
    cancelled = await make_cancelled()
    group = BaseExceptionGroup("", [A, BaseExceptionGroup("", [cancelled, B])])

    assert single(group) is group
    assert list(leaves(group)) == [A, cancelled, B]


async def test_a_group_of_cancellations_is_left_to_its_scope() -> None:
    cancelled = await make_cancelled()
    group = BaseExceptionGroup("", [cancelled])

    assert single(group) is group
    assert single(cancelled) is cancelled


async def test_splitting_keeps_both_sides_whole() -> None:
    cancelled = await make_cancelled()

    stopped, failed = split_cancelled(BaseExceptionGroup("", [A, BaseExceptionGroup("", [cancelled, B])]))

    assert stopped is not None
    assert list(leaves(stopped)) == [cancelled]
    assert failed is not None
    assert list(leaves(failed)) == [A, B]
    assert split_cancelled(A) == (None, A)
    assert split_cancelled(cancelled) == (cancelled, None)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
async def test_one_task_s_failure_leaves_the_nursery_as_itself(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        await run_together(trio.sleep_forever, partial(fail, error))

    assert caught.value is error


async def test_the_body_s_failure_leaves_the_nursery_as_itself() -> None:
    async def body() -> None:
        async with open_nursery() as outer, open_nursery() as inner:
            outer.start_soon(trio.sleep_forever)
            inner.start_soon(trio.sleep_forever)
            raise ValueError("body")

    with pytest.raises(ValueError, match="body"):
        await body()


async def test_an_unwrapped_failure_keeps_its_cause_and_its_context() -> None:
    async def with_cause() -> None:
        raise ValueError("effect") from KeyError("cause")

    async def with_context() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second")  # noqa: B904  (an implicit context is what is tested)

    with pytest.raises(ValueError, match="effect") as caused:
        await run_together(with_cause)
    with pytest.raises(ValueError, match="second") as followed:
        await run_together(with_context)

    assert isinstance(caused.value.__cause__, KeyError)
    assert isinstance(followed.value.__context__, KeyError)
    assert not followed.value.__suppress_context__


async def test_two_failures_leave_the_nursery_as_a_group() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await run_together(partial(fail, A), partial(fail, B))

    assert set(leaves(caught.value)) == {A, B}


async def test_a_cancelled_nursery_ends_only_its_scope() -> None:
    with trio.CancelScope() as scope:
        async with open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            scope.cancel()
    assert scope.cancelled_caught

    async with open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        nursery.cancel_scope.cancel()


async def test_a_failure_that_is_caught_does_not_hide_a_cancellation() -> None:
    """A Cancelled beside a failure is dropped, but the scope must still end the code inside."""
    went_on = False
    with trio.CancelScope() as scope:
        try:
            async with open_nursery() as nursery:
                nursery.start_soon(fail_once_cancelled, nursery.cancel_scope)
                scope.cancel()
                await trio.sleep_forever()
        except ValueError:
            await trio.lowlevel.checkpoint()
            went_on = True
    assert scope.cancelled_caught
    assert not went_on


async def fail_once_cancelled(scope: trio.CancelScope) -> None:
    try:
        await trio.sleep_forever()
    finally:
        raise ValueError("while it ended")


@pytest.fixture(params=["in_thread", "Offload"])
def call(request: pytest.FixtureRequest) -> Callable[..., object]:
    return in_thread if request.param == "in_thread" else Offload(1)


async def test_a_call_runs_in_another_thread_with_its_arguments(call: Callable[..., object]) -> None:
    def work(a: int, b: int, *, c: int) -> tuple[int, bool]:
        return a + b + c, threading.current_thread() is threading.main_thread()

    assert await call(work, 1, 2, c=3) == (6, False)  # type: ignore[misc]


async def test_an_error_of_a_call_is_raised_in_the_caller(call: Callable[..., object]) -> None:
    def work() -> None:
        raise A

    with pytest.raises(ValueError, match="a") as caught:
        await call(work)  # type: ignore[misc]
    assert caught.value is A


async def test_a_call_that_has_begun_is_waited_for(call: Callable[..., object]) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), []

    def work() -> str:
        begun.set()
        assert go_on.wait(10)
        done.append(True)
        return "stored"

    results: list[object] = []

    async def caller() -> None:
        results.append(await call(work))  # type: ignore[misc]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(caller)
        await in_thread(begun.wait, 10)
        nursery.cancel_scope.cancel()
        go_on.set()

    assert done == [True]
    assert results == ["stored"]


async def test_a_call_that_waits_for_a_thread_is_not_begun_after_a_cancel() -> None:
    offload, go_on = Offload(1), threading.Event()
    ran: list[int] = []
    begun = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def hold() -> None:
        token.run_sync_soon(begun.set)
        assert go_on.wait(10)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(offload, hold)
        await begun.wait()
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as waiting:
                waiting.start_soon(offload, ran.append, 1)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        go_on.set()

    assert scope.cancelled_caught
    assert ran == []
