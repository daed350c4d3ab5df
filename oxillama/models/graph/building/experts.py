"""Mixtures of experts."""

from __future__ import annotations

from oxillama.errors import ModelFormatError
from oxillama.models.graph import ops
from oxillama.models.graph.building.products import Products
from oxillama.models.graph.ops import ExpertMatrix, Value, View
from oxillama.models.params.experts import ExpertParams
from oxillama.models.tensors import Vector


class Experts(Products):
    """Routers and the experts that they choose."""

    def moe(
        self,
        x: View,
        prefix: str,
        n_ff: int,
        *,
        fn: str = "silu",
        logits: View | None = None,
        selection_bias: Vector | None = None,
        scaled: bool = True,
        gated: bool = True,
        weigh_first: bool = False,
        limited: str = "not",
        limit: float = 0.0,
    ) -> View:
        """A mixture of experts with n_ff inner columns, chosen as the model's ExpertParams say.

        logits None: the router's, which reads x. selection_bias: added to the scores for choosing, not for weighing.
        scaled: whether to use the ".scale" beside a matrix, or to ignore it. gated: whether experts have a gate. They
        have as many columns as x, and so has the result. weigh_first, limited, limit: as in oxi_op_experts.
        """
        experts = self.experts
        if logits is None:
            logits = self.linear(x, f"{prefix}ffn_gate_inp", experts.n)
        gate, up = self._gate_and_up(prefix, n_ff, x.width, scaled, gated)
        out = Value(x.width, x.value.outputs).view()
        self.append(
            ops.Experts(
                x.value.outputs,
                x,
                logits,
                out,
                gate=gate,
                up=up,
                down=self._matrix(f"{prefix}ffn_down_exps", x.width, n_ff, scaled),
                n_expert=experts.n,
                n_used=experts.n_used,
                fn=fn,
                gating=experts.gating,
                normalize=experts.normalize,
                weight_scale=experts.weight_scale,
                selection_bias=selection_bias,
                n_groups=experts.n_groups,
                n_groups_used=experts.n_groups_used,
                weigh_first=weigh_first,
                limited=limited,
                limit=limit,
            )
        )
        return out

    @property
    def experts(self) -> ExpertParams:
        experts = self.hparams.experts
        if experts is None:
            key = f"{self.hparams.architecture}.expert_count"
            raise ModelFormatError(f"{self.gguf.path}: key '{key}' is missing or 0, and there are experts")
        return experts

    def _gate_and_up(
        self, prefix: str, n_ff: int, n_cols: int, scaled: bool, gated: bool
    ) -> tuple[ExpertMatrix | None, ExpertMatrix]:
        """From two tensors, or from one that holds each expert's rows of the gate, then those of up."""
        n = self.experts.n
        if not gated:
            return None, self._matrix(f"{prefix}ffn_up_exps", n_ff, n_cols, scaled)
        fused = f"{prefix}ffn_gate_up_exps"
        if not self.tensors.has(f"{fused}.weight"):
            gate, up = (self._matrix(f"{prefix}ffn_{name}_exps", n_ff, n_cols, scaled) for name in ("gate", "up"))
            return gate, up
        scale = self._scale(fused, scaled)
        gate, up = (
            ExpertMatrix(
                self.tensors.matrix(f"{fused}.weight", n_ff, n_cols, n, first_row=first, of_rows=2 * n_ff), scale=scale
            )
            for first in (0, n_ff)
        )
        return gate, up

    def _matrix(self, name: str, n_rows: int, n_cols: int, scaled: bool) -> ExpertMatrix:
        n = self.experts.n
        return ExpertMatrix(
            self.tensors.matrix(f"{name}.weight", n_rows, n_cols, n),
            self.tensors.optional_vector(f"{name}.bias", n * n_rows, (n_rows, n)),
            self._scale(name, scaled),
        )

    def _scale(self, name: str, scaled: bool) -> Vector | None:
        """One value for each expert."""
        if scaled:
            return self.tensors.optional_vector(f"{name}.scale", self.experts.n)
        self.tensors.ignore(f"{name}.scale")
        return None
