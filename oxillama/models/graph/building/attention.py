"""Rotary positions, the key/value cache and attention."""

from __future__ import annotations

import dataclasses
import math

from oxillama.errors import ModelFormatError
from oxillama.models.graph import ops
from oxillama.models.graph.building.products import Products
from oxillama.models.graph.ops import CacheLayer, Value, View
from oxillama.models.params import rope
from oxillama.models.params.heads import HeadShape
from oxillama.models.tensors import Vector


class Attention(Products):
    """Attention of layers that may each have their own heads, window, rotation and cache."""

    def rope_table(self, n_rot: int, scaling: rope.RopeScaling | None = None, factors: Vector | None = None) -> View:
        """Sines and cosines of every position for n_rot columns, for `rope`. scaling None: the model's.

        `factors` divide the frequencies one by one.
        """
        scaling = scaling or self.hparams.rope
        # A few numbers, closer to parameters than to weights. Checked now, so that a described model can be loaded.
        try:
            values = rope.frequencies(scaling, n_rot, factors.read() if factors else None)
            magnitude = rope.magnitude(scaling)
        except ValueError as error:
            raise ModelFormatError(f"{self.gguf.path}: {error}") from None
        out = Value(n_rot).view()
        self.append(ops.RopeTable(False, out, Vector(len(values), lambda: values), lambda: magnitude))
        return out

    def rope_tables(self, factors: Vector | None = None, *, both: bool = False) -> list[View]:
        """Each layer's table; layers that rotate alike share one. `factors`: of layers without a window, or of both."""
        hp = self.hparams
        tables: dict[tuple[rope.RopeScaling, int, bool], View] = {}
        found = []
        for layer, shape in enumerate(hp.heads):
            key = (hp.rope_of(layer), shape.n_rot, factors is not None and (both or not hp.windows[layer]))
            if key not in tables:
                tables[key] = self.rope_table(shape.n_rot, key[0], factors if key[2] else None)
            found.append(tables[key])
        return found

    def rope(self, q: View, k: View | None, table: View, kind: str, head_dim: int, *, offset: int = 0) -> None:
        """Rotates as many columns of every head of q and k as the table has, in place, starting at `offset`."""
        self.append(ops.Rope(False, q, k, table, kind, head_dim, table.width, offset))

    def store(self, k: View, v: View, shape: HeadShape, *, window: int = 0) -> CacheLayer:
        """Keeps the tokens' keys and values in a new layer of the cache.

        window: how many tokens its attention sees, the token itself included; 0: all before it. Where tokens see both
        ways, no later step needs the keys and values, so all layers of a shape share one layer of the cache.
        """
        shared = shape.n_kv == 1 and k.begins_with(v)
        cache = CacheLayer(shape.n_kv, shape.key_dim, shape.value_dim, window, shared)
        if not self.hparams.causal:
            same = (c for c in self.graph.cache_layers() if dataclasses.astuple(c) == dataclasses.astuple(cache))
            cache = next(same, cache)
        self.append(ops.KVStore(False, k, v, cache))
        return cache

    def attend(
        self,
        q: View,
        cache: CacheLayer,
        n_head: int,
        *,
        scale: float | None = None,
        softcap: float = 0.0,
        sinks: Vector | None = None,
        slopes: Vector | None = None,
        temperature: tuple[float, int] = (0.0, 0),
        temperature_offset: int = 0,
        chunked: bool = False,
    ) -> View:
        """Attention over a layer of the cache: see oxi_op_attention for the formula.

        chunked: tokens see those before them in their chunk of as many tokens as the window has. scale None:
        1 / sqrt(columns of a head). temperature: (scale, floor) of queries that sharpen with position.
        """
        out = Value(n_head * cache.value_dim).view()
        self.append(
            ops.Attention(
                False,
                q,
                out,
                cache,
                n_head,
                1.0 / math.sqrt(cache.key_dim) if scale is None else scale,
                both_ways=not self.hparams.causal,
                window=cache.window,
                softcap=softcap,
                slopes=slopes,
                sinks=sinks,
                temperature_scale=temperature[0],
                temperature_floor=temperature[1],
                temperature_offset=temperature_offset,
                chunked=chunked,
            )
        )
        return out
