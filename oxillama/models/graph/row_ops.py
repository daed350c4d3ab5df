"""Ops that bound and sum the columns of each row: one dataclass per op of csrc/oxillama_ops.h."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from oxillama.models.graph.ops import Op, View


@dataclass(eq=False, slots=True)
class Dot(Op):
    """The sums of x * y over equally many columns each."""

    x: View
    y: View
    out: View

    def reads(self) -> Iterator[View]:
        yield from (self.x, self.y)

    def writes(self) -> Iterator[View]:
        yield self.out


@dataclass(eq=False, slots=True)
class Clamp(Op):
    """x between low and high."""

    x: View
    out: View
    low: float
    high: float

    def reads(self) -> Iterator[View]:
        yield self.x

    def writes(self) -> Iterator[View]:
        yield self.out
