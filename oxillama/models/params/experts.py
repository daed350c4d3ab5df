"""Mixtures of experts: their sizes, and how a token's experts are chosen and weighed."""

from __future__ import annotations

from dataclasses import dataclass

from oxillama.models.params.keys import MAX_EXPERTS, Keys


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
