"""Values that take long to make, such as compiled grammars: made once for each key, and kept while they are in use."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """The values that were asked for last. Threads may share it: nobody waits for a value of another key."""

    def __init__(self, most: int, size: Callable[[K, V], int] = lambda key, value: 1) -> None:
        """most: how much is kept, as `size` counts it: by itself the number of values. The latest is always kept."""
        self._most = most
        self._size = size
        self._total = 0
        self._lock = threading.Lock()  # held for look-ups alone
        self._values: OrderedDict[K, V] = OrderedDict()  # the latest last
        self._making: dict[K, Future[V]] = {}

    def find(self, key: K) -> V | None:
        """The value, if it is kept."""
        with self._lock:
            return self._find(key)

    def _find(self, key: K) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value, made in this thread if it is not kept. Blocks.

        Who asks for it while it is being made waits for it. All of them get the error of `make`, and the next one after
        them tries again.
        """
        with self._lock:
            if (value := self._find(key)) is not None:
                return value
            under_way = self._making.get(key)
            if under_way is None:
                mine = self._making[key] = Future()
        if under_way is not None:
            return under_way.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._making[key]
            self._values[key] = value
            self._total += self._size(key, value)
            while self._total > self._most and len(self._values) > 1:
                self._total -= self._size(*self._values.popitem(last=False))
        mine.set_result(value)
        return value
