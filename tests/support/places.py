"""Adds the iteration of a loop to failures inside it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def at(**place: object) -> Iterator[None]:
    """`with at(step=3, seed=7):` adds the note "at step 3, seed 7" to failures inside."""
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        error.add_note("at " + ", ".join(f"{name} {value}" for name, value in place.items()))
        raise
