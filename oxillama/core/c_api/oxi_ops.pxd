# The declarations of csrc/oxillama_ops.h, name for name: the ops of a program.
from libc.stdint cimport int32_t

cdef extern from "oxillama_ops.h" nogil:
    ctypedef struct oxi_program:
        pass

    ctypedef struct oxi_view:
        int32_t buffer
        int32_t column
        int32_t width

    ctypedef enum oxi_rows:
        OXI_ROWS_TOKENS
        OXI_ROWS_OUTPUTS

    ctypedef enum oxi_op_kind:
        OXI_OP_EMBED
        OXI_OP_ROPE_TABLE
        OXI_OP_NORM
        OXI_OP_LINEAR
        OXI_OP_GLU
        OXI_OP_ROPE
        OXI_OP_KV_STORE
        OXI_OP_ATTENTION
        OXI_OP_EXPERTS
        OXI_OP_SELECT
        OXI_OP_AFFINE
        OXI_OP_SOFTCAP
        OXI_OP_HEAD_LINEAR
        OXI_OP_GATHER
        OXI_OP_GATE
        OXI_OP_CONV
        OXI_OP_DELTA
        OXI_OP_SCAN
        OXI_OP_CLAMP
        OXI_OP_DPLR
        OXI_OP_DOT

    ctypedef enum oxi_embed_by:
        OXI_EMBED_BY_TOKEN
        OXI_EMBED_BY_POSITION
        OXI_EMBED_FIRST

    ctypedef enum oxi_norm_kind:
        OXI_NORM_RMS
        OXI_NORM_LAYER

    ctypedef enum oxi_fn:
        OXI_FN_NONE
        OXI_FN_SILU
        OXI_FN_GELU
        OXI_FN_RELU
        OXI_FN_RELU2
        OXI_FN_SIGMOID
        OXI_FN_TANH
        OXI_FN_GELU_ERF
        OXI_FN_GELU_QUICK
        OXI_FN_SOFTPLUS
        OXI_FN_EXP
        OXI_FN_SWIGLU_CLAMPED

    ctypedef enum oxi_prologue:
        OXI_PROLOGUE_NONE
        OXI_PROLOGUE_NORM
        OXI_PROLOGUE_GLU

    ctypedef enum oxi_rope_kind:
        OXI_ROPE_PAIRS
        OXI_ROPE_HALVES

    ctypedef enum oxi_gating:
        OXI_GATING_SOFTMAX
        OXI_GATING_SIGMOID
        OXI_GATING_SOFTMAX_CHOSEN

    ctypedef struct oxi_op_embed:
        oxi_view out
        int32_t table, by
        float scale

    ctypedef struct oxi_op_rope_table:
        oxi_view out
        int32_t frequencies
        float magnitude

    ctypedef struct oxi_op_norm:
        oxi_view x
        oxi_view out
        int32_t kind
        int32_t group
        int32_t weight
        int32_t bias
        float eps

    ctypedef struct oxi_op_glu:
        oxi_view x
        oxi_view times
        oxi_view out
        int32_t fn

    int OXI_LINEAR_PARTS

    ctypedef struct oxi_linear_part "struct oxi_linear_part":
        int32_t matrix
        int32_t bias
        float scale
        oxi_view out
        oxi_view addend

    ctypedef struct oxi_op_linear:
        oxi_view x
        int32_t prologue
        oxi_op_norm norm
        oxi_op_glu glu
        int32_t n_parts
        oxi_linear_part *part

    ctypedef struct oxi_op_rope:
        oxi_view x
        oxi_view y
        oxi_view table
        int32_t kind
        int32_t head_dim
        int32_t n_rot
        int32_t offset

    ctypedef struct oxi_op_kv_store:
        oxi_view k
        oxi_view v
        int32_t layer

    ctypedef struct oxi_op_attention:
        oxi_view q
        oxi_view out
        int32_t layer
        int32_t n_head
        int32_t both_ways
        int32_t window
        int32_t chunked
        int32_t slopes
        int32_t sinks
        float scale
        float softcap
        float temperature_scale
        int32_t temperature_floor
        int32_t temperature_offset

    ctypedef struct oxi_op_experts:
        oxi_view x
        oxi_view logits
        oxi_view out
        oxi_view addend
        int32_t gate
        int32_t up
        int32_t down
        int32_t gate_bias
        int32_t up_bias
        int32_t down_bias
        int32_t gate_scale
        int32_t up_scale
        int32_t down_scale
        int32_t selection_bias
        int32_t n_expert
        int32_t n_used
        int32_t fn
        int32_t gating
        int32_t n_groups
        int32_t n_groups_used
        int32_t normalize
        int32_t weigh_first
        int32_t limited
        float weight_scale
        float limit

    ctypedef struct oxi_op_select:
        oxi_view x
        oxi_view out
        int32_t mean

    ctypedef struct oxi_op_affine:
        oxi_view x
        oxi_view times
        oxi_view addend
        oxi_view out
        int32_t weight
        int32_t bias
        float scale

    ctypedef struct oxi_op_softcap:
        oxi_view x
        oxi_view out
        float cap

    ctypedef struct oxi_op_head_linear:
        oxi_view x
        oxi_view out
        int32_t matrix
        int32_t shared

    ctypedef struct oxi_op_gather:
        oxi_view x
        oxi_view out
        int32_t stride
        int32_t offset
        int32_t take

    ctypedef struct oxi_op_gate:
        oxi_view x
        oxi_view gate
        oxi_view addend
        oxi_view out
        int32_t fn

    ctypedef struct oxi_op_conv:
        oxi_view x
        oxi_view times
        oxi_view out
        int32_t kernel
        int32_t bias
        int32_t n_taps
        int32_t fn
        int32_t state

    ctypedef struct oxi_op_delta:
        oxi_view q
        oxi_view k
        oxi_view v
        oxi_view out
        oxi_view decay
        oxi_view beta
        int32_t rate
        int32_t dt
        int32_t n_head
        int32_t n_key_head
        int32_t key_dim
        int32_t value_dim
        int32_t tiled
        int32_t state

    ctypedef struct oxi_op_scan:
        oxi_view q
        oxi_view k
        oxi_view v
        oxi_view out
        oxi_view step
        int32_t rate
        int32_t dt
        int32_t skip
        int32_t n_head
        int32_t n_key_head
        int32_t key_dim
        int32_t value_dim
        int32_t state

    ctypedef enum oxi_limited:
        OXI_LIMITED_NOT
        OXI_LIMITED_GATE
        OXI_LIMITED_ACTIVATION

    ctypedef struct oxi_op_clamp:
        oxi_view x
        oxi_view out
        float low
        float high

    ctypedef struct oxi_op_dplr:
        oxi_view q
        oxi_view w
        oxi_view k
        oxi_view a
        oxi_view b
        oxi_view v
        oxi_view out
        int32_t n_head
        int32_t key_dim
        int32_t value_dim
        int32_t state

    ctypedef struct oxi_op_dot:
        oxi_view x
        oxi_view y
        oxi_view out

    ctypedef union oxi_op_as "":
        oxi_op_embed embed
        oxi_op_rope_table rope_table
        oxi_op_norm norm
        oxi_op_linear linear
        oxi_op_glu glu
        oxi_op_rope rope
        oxi_op_kv_store kv_store
        oxi_op_attention attention
        oxi_op_experts experts
        oxi_op_select select
        oxi_op_affine affine
        oxi_op_softcap softcap
        oxi_op_head_linear head_linear
        oxi_op_gather gather
        oxi_op_gate gate
        oxi_op_conv conv
        oxi_op_delta delta
        oxi_op_scan scan
        oxi_op_clamp clamp
        oxi_op_dplr dplr
        oxi_op_dot dot

    ctypedef struct oxi_op:
        oxi_op_kind kind
        oxi_rows rows
        oxi_op_as as_ "as"
