"""Failures inside a loop that say in which round they happened."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def at(**place: object) -> Iterator[None]:
    """`with at(step=3, seed=7):` adds "at step 3, seed 7" to whatever fails inside."""
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        error.add_note("at " + ", ".join(f"{name} {value}" for name, value in place.items()))
        raise
