"""How the tokens' positions take part: rotation, and scores that fall with distance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oxillama.models.families.blocks.layout import Layout
from oxillama.models.params.keys import Keys
from oxillama.models.params.rope import read_sections, unrotated_in_text
from oxillama.models.tensors import Vector

if TYPE_CHECKING:
    from oxillama.models.graph.builder import Builder
    from oxillama.models.graph.ops import View
    from oxillama.models.params.common import HParams


class Positions:
    """Rotation tables and slopes of each layer."""

    layout: Layout
    b: Builder
    hp: HParams
    keys: Keys
    slopes: list[Vector]
    sections: tuple[int, ...]

    def tables(self) -> list[View | None]:
        """Each layer's rotation; None: it is not rotated."""
        rotation, hp = self.layout.rotation, self.hp
        if rotation is None or self.slopes or rotation.only_layers not in (0, hp.n_layer):
            return []
        if rotation.switched and not self.b.gguf.get_bool(self.keys.name("rope.scaling.finetuned"), True):
            self._ignore_factors()
            return []
        tables = self.b.rope_tables(self._factors(), both=not rotation.halved)
        windowed = rotation.only_windows and any(hp.windows)
        return [
            None if (windowed and not hp.windows[i]) or self.unrotated(i) else table for i, table in enumerate(tables)
        ]

    def unrotated(self, i: int) -> bool:
        """Whether the layer's number leaves it unrotated. If the first of every n layers is, a model of n has none, as
        in the reference."""
        rotation = self.layout.rotation
        if rotation is None or rotation.unrotated is None or rotation.unrotated == (self.hp.n_layer, 0):
            return False
        return i % rotation.unrotated[0] == rotation.unrotated[1]

    def _factors(self) -> Vector | None:
        """The divisors of the frequencies."""
        b, rotation = self.b, self.layout.rotation
        assert rotation is not None
        n_rot = self.hp.heads[0].n_rot
        if self.sections:
            return unrotated_in_text(self.sections, n_rot, interleaved=rotation.sections == "interleaved")
        if not rotation.factors:
            return None
        if rotation.halved:  # as many as for whole heads, of which the first are used
            half = next((s.n_rot // 2 for s, w in zip(self.hp.heads, self.hp.windows, strict=True) if not w), 1)
            whole = b.tensors.optional_vector("rope_freqs.weight", 2 * half)
            return None if whole is None else Vector(half, lambda: whole.read()[:half])
        long = b.tensors.optional_vector("rope_factors_long.weight", n_rot // 2)
        short = b.tensors.optional_vector("rope_factors_short.weight", n_rot // 2)
        if long is None and short is None:
            return b.tensors.optional_vector("rope_freqs.weight", n_rot // 2)
        return long if b.n_ctx > self.hp.rope.original_ctx else short

    def read_sections(self) -> tuple[int, ...]:
        """How many pairs rotate by each coordinate; empty: the position is one number."""
        rotation = self.layout.rotation
        if rotation is None or rotation.sections is None:
            return ()
        if self.keys.name("rope.dimension_sections") not in self.b.gguf.metadata_types:
            return ()
        sections = read_sections(self.keys, self.hp.heads[0].n_rot)
        return sections if min(sections[:2]) > 0 or rotation.sections_required else ()

    def _ignore_factors(self) -> None:
        for name in ("rope_freqs", "rope_factors_long", "rope_factors_short"):
            self.b.tensors.ignore(f"{name}.weight")

    def read_slopes(self) -> list[Vector]:
        """Slopes of the scores of each layer's heads; empty: scores do not fall with distance."""
        largest = self.layout.alibi
        if self.layout.alibi_layers not in (0, self.hp.n_layer):
            return []
        if largest == "stated":
            largest = self.keys.number("attention.max_alibi_bias", 0.0, low=0.0, high=1e3)
        if not largest:
            return []
        return [Vector(shape.n_head, _alibi(shape.n_head, largest)) for shape in self.hp.heads]


def _alibi(n_head: int, largest: float) -> Callable[[], npt.NDArray[np.float32]]:
    """Press, Smith, Lewis: "Train Short, Test Long" (2021): a geometric series; heads beyond a power of two take every
    second slope of the next series."""
    whole = 2 ** math.floor(math.log2(n_head))

    def slopes() -> npt.NDArray[np.float32]:
        first = 2.0 ** (-largest / whole * np.arange(1, whole + 1))
        more = 2.0 ** (-largest / 2 / whole * np.arange(1, 2 * (n_head - whole) + 1, 2))
        return np.concatenate([first, more]).astype(np.float32)

    return slopes
