"""Values that are made once: shared by threads that want them at once, and kept up to a number."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest

from oxillama import kept
from oxillama.engine.constraints import grammars
from oxillama.kept import Kept
from tests.support.fake_engine import FakeTokenizer


@pytest.fixture
def awaited(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set as soon as a thread waits for a value that another one makes."""
    event = threading.Event()

    class Watched(Future[object]):
        def result(self, timeout: float | None = None) -> object:
            event.set()
            return super().result(timeout)

    monkeypatch.setattr(kept, "Future", Watched)
    return event


def test_threads_that_want_a_value_at_once_share_its_making(awaited: threading.Event) -> None:
    values: Kept[str, object] = Kept(2)

    def make() -> object:
        assert awaited.wait(10)
        return object()

    with ThreadPoolExecutor(2) as threads:
        first, second = [threads.submit(values.get, "a", make) for _ in range(2)]
    assert first.result() is second.result() is values.find("a")


def test_they_share_its_error_and_the_next_one_tries_again(awaited: threading.Event) -> None:
    values: Kept[str, int] = Kept(2)

    def fail() -> int:
        assert awaited.wait(10)
        raise ValueError("no")

    with ThreadPoolExecutor(2) as threads:
        failed = [threads.submit(values.get, "a", fail) for _ in range(2)]
    assert [str(one.exception()) for one in failed] == ["no", "no"]
    assert values.find("a") is None
    assert values.get("a", lambda: 1) == 1


def test_other_values_are_found_and_made_meanwhile() -> None:
    values: Kept[str, int] = Kept(2)
    values.get("known", lambda: 1)

    def make() -> int:
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(values.find, "known").result(10) == 1
            assert thread.submit(values.find, "slow").result(10) is None
            return thread.submit(values.get, "other", lambda: 2).result(10)

    assert values.get("slow", make) == 2


def test_those_that_were_asked_for_last_are_kept() -> None:
    values: Kept[int, int] = Kept(2)
    for i in (0, 1, 0, 2):
        assert values.get(i, partial(int, i)) == i
    assert [values.find(i) for i in range(3)] == [0, None, 2]


def test_requests_with_the_same_new_grammar_try_it_once(
    awaited: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def trial(text: str, limits: dict[str, int]) -> None:
        assert awaited.wait(10)
        tried.append(text)

    monkeypatch.setattr(grammars, "try_grammar", trial)
    known = grammars.Grammars(FakeTokenizer(), FakeTokenizer.n_vocab)
    with ThreadPoolExecutor(3) as threads:
        found = [threads.submit(known.compile, 'start: "a"', foreign=True) for _ in range(3)]
    assert len({one.result() for one in found}) == len(tried) == 1


def test_the_oldest_go_when_all_together_are_too_large() -> None:
    values: Kept[str, str] = Kept(10, lambda key, value: len(key) + len(value))
    for key, value in (("a", "12345"), ("b", "12"), ("c", "1")):
        values.get(key, partial(str, value))
    assert [values.find(key) for key in "abc"] == [None, "12", "1"]
    values.get("d", lambda: "1" * 100)  # alone too large, and yet the latest
    assert [values.find(key) is not None for key in "bcd"] == [False, False, True]
