"""Mixtures of experts: their sizes, and how a token's experts are chosen and weighed."""

from __future__ import annotations

from dataclasses import dataclass

from oxillama.errors import ModelUnsupportedError
from oxillama.models.params.keys import MAX_EXPERTS, MAX_FF, Keys

# Values of expert_gating_func. 0: the file does not say.
GATINGS = {1: "softmax", 2: "sigmoid", 3: "softmax_chosen"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertParams:
    """`n_used` of `n` experts with n_ff[layer] inner columns work on a token.

    gating: how scores become weights, as in oxi_gating. normalize: whether the chosen weights are divided by their sum.
    n_groups > 1: only experts of the n_groups_used best groups are chosen. n_ff_shared: inner columns of the shared
    experts, which work on every token; 0: there are none.
    """

    n: int
    n_used: int
    n_ff: tuple[int, ...]
    gating: str = "softmax"
    normalize: bool = True
    weight_scale: float = 1.0
    n_groups: int = 0
    n_groups_used: int = 0
    n_ff_shared: int = 0


def read_expert_counts(keys: Keys) -> tuple[int, int]:
    """(experts, experts used per token); (0, 0) for a dense model."""
    n_expert = keys.whole("expert_count", 0, low=0, high=MAX_EXPERTS)
    n_used = keys.whole("expert_used_count", 0, low=0, high=MAX_EXPERTS)
    if n_expert == 0 and n_used == 0:
        return 0, 0
    if not 1 <= n_used <= n_expert:
        keys.gguf.fail(
            keys.name("expert_used_count"), f"{n_used} is not between 1 and the {n_expert} experts there are"
        )
    return n_expert, n_used


def require_experts(keys: Keys) -> tuple[int, int]:
    """The same for an architecture that is always a mixture."""
    keys.whole("expert_count", low=1, high=MAX_EXPERTS)
    return read_expert_counts(keys)


def read_mixture(keys: Keys, n_blocks: int, *, gating: str, needs_ff: bool = True) -> ExpertParams:
    """The experts of an architecture whose files state everything about them. gating: where the file does not say.
    needs_ff: whether the file must state how wide experts are; else 0 means that it does not.

    n_blocks: all layers of the file. Raises ModelFormatError or ModelUnsupportedError, naming the file and the key.
    """
    n, n_used = require_experts(keys)
    stated = keys.whole("expert_gating_func", 0, low=0, high=255)
    if stated not in (0, *GATINGS):
        raise ModelUnsupportedError(
            f"{keys.gguf.path}: key '{keys.name('expert_gating_func')}': {stated} is not one of"
            f" {', '.join(f'{number} ({name})' for number, name in GATINGS.items())}"
        )
    n_ff = keys.per_layer(
        "expert_feed_forward_length", n_blocks, None if needs_ff else (0,) * n_blocks, low=1, high=MAX_FF
    )
    n_shared = keys.whole("expert_shared_count", 0, low=0, high=MAX_EXPERTS)
    n_groups, n_groups_used = _read_groups(keys, n, n_used)
    return ExpertParams(
        n=n,
        n_used=n_used,
        n_ff=n_ff,
        gating=GATINGS.get(stated, gating),
        normalize=keys.gguf.get_bool(keys.name("expert_weights_norm"), False),
        weight_scale=keys.number("expert_weights_scale", 0.0, low=-1e6, high=1e6) or 1.0,
        n_groups=n_groups,
        n_groups_used=n_groups_used,
        n_ff_shared=n_shared * n_ff[-1],
    )


def _read_groups(keys: Keys, n: int, n_used: int) -> tuple[int, int]:
    """(groups of experts, groups whose experts may be chosen); (0, 0): all of them may."""
    n_groups = keys.whole("expert_group_count", 0, low=0, high=MAX_EXPERTS)
    used = keys.whole("expert_group_used_count", 0, low=0, high=MAX_EXPERTS)
    if n_groups <= 1:
        return 0, 0
    if n % n_groups:
        keys.gguf.fail(keys.name("expert_group_count"), f"{n_groups} groups cannot share {n} experts evenly")
    if not 1 <= used <= n_groups or n // n_groups * used < n_used:
        keys.gguf.fail(
            keys.name("expert_group_used_count"), f"{used} of {n_groups} groups do not have {n_used} experts"
        )
    return n_groups, used
