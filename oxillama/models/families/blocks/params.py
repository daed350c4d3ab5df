"""The hyper-parameters of an architecture that a layout describes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oxillama.models.families.blocks.layout import Layout, Mixture, Windows
from oxillama.models.params.common import LAYER_EPSILON, RMS_EPSILON, HParams, read_hparams
from oxillama.models.params.experts import ExpertParams, read_mixture
from oxillama.models.params.heads import HeadShape, read_rotated
from oxillama.models.params.keys import MAX_CONTEXT, MAX_FF, Keys
from oxillama.models.params.recurrent import read_state_space
from oxillama.models.params.rope import read_sections, read_sliding_base, unscaled
from oxillama.models.params.windows import read_windows

if TYPE_CHECKING:
    from oxillama.gguf import GGUFFile


def read_layout(gguf: GGUFFile, architecture: str, layout: Layout) -> HParams:
    """Raises ModelFormatError or ModelUnsupportedError, naming the file and the key."""
    keys = Keys(gguf, architecture)
    recurrent = layout.state_space is not None
    hparams = read_hparams(
        gguf,
        architecture,
        nextn=True,
        least_kv=0 if recurrent else 1,
        attends=layout.state_space != "only",
        least_ff=0 if layout.state_space in ("single", "only") else 1,
        yarn_keys=layout.yarn_keys,
        epsilon=_epsilon(keys, layout),
        default_epsilon=layout.epsilon,
    )
    if recurrent:
        read_state_space(keys)
    if layout.ff_parts > 1:
        hparams = replace(hparams, n_ff=tuple(max(1, n // layout.ff_parts) for n in hparams.n_ff))
    if layout.rotation is not None and layout.rotation.sections is not None:
        _check_sections(keys, hparams, required=layout.rotation.sections_required)
    if layout.windows is not None and layout.windows.only_layers in (0, hparams.n_layer):
        hparams = _slide(keys, hparams, layout.windows)
    if layout.rotation is not None and layout.rotation.halved:
        hparams = replace(hparams, heads=_halved(keys, hparams))
    experts = None
    if layout.mixture is not None and keys.gguf.get_int(keys.name("expert_count"), 0):
        experts = _experts(keys, hparams, layout.mixture)
    return replace(hparams, experts=experts)


def _epsilon(keys: Keys, layout: Layout) -> str:
    """The key of the norms' epsilon. Nemotron-H's files may have only that of the other kind."""
    if layout.norms.kind == "layer":
        return LAYER_EPSILON
    other = layout.state_space == "single" and keys.name(RMS_EPSILON) not in keys.gguf.metadata_types
    return LAYER_EPSILON if other else RMS_EPSILON


def _check_sections(keys: Keys, hparams: HParams, *, required: bool) -> None:
    if required or keys.name("rope.dimension_sections") in keys.gguf.metadata_types:
        read_sections(keys, max(shape.n_rot for shape in hparams.heads))


def _slide(keys: Keys, hparams: HParams, windows: Windows) -> HParams:
    window = keys.whole("attention.sliding_window", windows.default, low=0, high=MAX_CONTEXT)
    if not window:
        return hparams
    if windows.fixed:
        window = windows.default
    n_blocks = hparams.n_layer + hparams.n_nextn
    found = read_windows(keys, n_blocks, window, full_every=windows.full_every, full_first=windows.full_first)[
        : hparams.n_layer
    ]
    base = read_sliding_base(keys, windows.base or hparams.rope.base)
    sliding = replace(hparams.rope, base=base) if windows.stretched else unscaled(hparams.rope, base)
    return replace(hparams, windows=found, rope_sliding=sliding, heads=_rotated(keys, hparams, found))


def _rotated(keys: Keys, hparams: HParams, windows: tuple[int, ...]) -> tuple[HeadShape, ...]:
    """The heads, of which those of layers with a window may rotate another number of columns."""
    first = hparams.heads[0]
    n_rot = read_rotated(keys, "rope.dimension_count_swa", first.n_rot, first.key_dim)
    return tuple(
        replace(shape, n_rot=n_rot) if window else shape for shape, window in zip(hparams.heads, windows, strict=True)
    )


def _halved(keys: Keys, hparams: HParams) -> tuple[HeadShape, ...]:
    """Layers without a window rotate half of the columns."""
    n_rot = hparams.heads[0].n_rot
    if n_rot % 4:
        keys.gguf.fail(keys.name("rope.dimension_count"), f"{n_rot} is not a multiple of 4: half is rotated in pairs")
    return tuple(
        shape if window else replace(shape, n_rot=n_rot // 2)
        for shape, window in zip(hparams.heads, hparams.windows, strict=True)
    )


def _experts(keys: Keys, hparams: HParams, mixture: Mixture) -> ExpertParams:
    n_blocks = hparams.n_layer + hparams.n_nextn
    read = read_mixture(keys, n_blocks, gating=mixture.gating, needs_ff=False)
    dense = tuple(max(1, n // read.n_used) if mixture.per_used else n for n in hparams.n_ff)
    n_ff = tuple(own or other for own, other in zip(read.n_ff, dense, strict=False))
    return replace(
        read,
        n_ff=n_ff,
        gating=read.gating if mixture.stated else mixture.gating,
        normalize=read.normalize if mixture.normalize is None else mixture.normalize,
        n_ff_shared=_shared(keys, n_ff, always=mixture.always_shared) if mixture.shared else 0,
    )


def _shared(keys: Keys, n_ff: tuple[int, ...], *, always: bool) -> int:
    """Inner columns of the shared experts: the file's number, or that of as many experts as it says."""
    stated = keys.whole("expert_shared_feed_forward_length", 0, low=0, high=MAX_FF)
    count = keys.whole("expert_shared_count", 0, low=0, high=MAX_FF)
    return min(stated or max(n_ff) * (count or int(always)), MAX_FF)
