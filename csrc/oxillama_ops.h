/* The ops of a program: the part of the C API that describes what a step computes. Include oxillama.h. */
#ifndef OXILLAMA_OPS_H
#define OXILLAMA_OPS_H

#include "oxillama_types.h"

/* A program is what one step computes: a flat list of ops over buffers of rows [rows, width] float32, built once by the
 * model's description and executed for every batch. Ops read and write views: a column range of a buffer. Buffers that
 * are never alive together share a slot of memory. All of it is sized for the largest batch when the runner opens. */
typedef struct oxi_program oxi_program;

/* Columns [column, column + width) of a buffer; buffer < 0: absent. */
typedef struct oxi_view {
    int32_t buffer, column, width;
} oxi_view;

/* How many rows an op works on. */
typedef enum oxi_rows {
    OXI_ROWS_TOKENS = 0,  /* one per token of the batch */
    OXI_ROWS_OUTPUTS = 1, /* one per position whose logits were asked for */
} oxi_rows;

typedef enum oxi_op_kind {
    OXI_OP_EMBED = 0,
    OXI_OP_ROPE_TABLE = 1,
    OXI_OP_NORM = 2,
    OXI_OP_LINEAR = 3,
    OXI_OP_GLU = 4,
    OXI_OP_ROPE = 5,
    OXI_OP_KV_STORE = 6,
    OXI_OP_ATTENTION = 7,
    OXI_OP_EXPERTS = 8,
    OXI_OP_SELECT = 9,
    OXI_OP_AFFINE = 10,
    OXI_OP_SOFTCAP = 11,
    OXI_OP_HEAD_LINEAR = 12,
    OXI_OP_GATHER = 13,
    OXI_OP_GATE = 14,
    OXI_OP_CONV = 15,
    OXI_OP_DELTA = 16,
    OXI_OP_SCAN = 17,
    OXI_OP_CLAMP = 18,
    OXI_OP_DPLR = 19,
    OXI_OP_DOT = 20,
    OXI_OP_COUNT
} oxi_op_kind;

/* Which row of a table a token takes. */
typedef enum oxi_embed_by {
    OXI_EMBED_BY_TOKEN = 0,
    OXI_EMBED_BY_POSITION = 1, /* counted from 0; the table has a row for every position of the context */
    OXI_EMBED_FIRST = 2,       /* the first row, whatever the token */
    OXI_EMBED_COUNT
} oxi_embed_by;

/* out[row] = rows of a table, decoded from the mapped file, times scale. */
typedef struct oxi_op_embed {
    oxi_view out;
    int32_t table, by;
    float scale;
} oxi_op_embed;

/* out[row] = cos(position * frequency[i]) * magnitude for all i, then the sines: the table that OXI_OP_ROPE reads. */
typedef struct oxi_op_rope_table {
    oxi_view out;        /* width: twice the number of frequencies */
    int32_t frequencies; /* vector */
    float magnitude;
} oxi_op_rope_table;

typedef enum oxi_norm_kind {
    OXI_NORM_RMS = 0,   /* x / sqrt(mean(x^2) + eps) */
    OXI_NORM_LAYER = 1, /* (x - mean) / sqrt(variance + eps) */
} oxi_norm_kind;

/* Normalises every run of `group` columns separately (group = width: the whole row), multiplies by weight and adds bias.
 * Weight and bias (vectors, < 0: absent) have `group` values, shared by all groups, or `width` values. */
typedef struct oxi_op_norm {
    oxi_view x, out; /* may be the same */
    int32_t kind, group, weight, bias;
    float eps;
} oxi_op_norm;

/* out = fn(x) * times; times absent: fn(x). OXI_FN_SWIGLU_CLAMPED needs `times`, and is the whole product. */
typedef struct oxi_op_glu {
    oxi_view x, times, out;
    int32_t fn;
} oxi_op_glu;

#define OXI_LINEAR_PARTS 8

/* What a linear op does to an input row before it multiplies. */
typedef enum oxi_prologue {
    OXI_PROLOGUE_NONE = 0,
    OXI_PROLOGUE_NORM = 1, /* `norm`, whose out is not used */
    OXI_PROLOGUE_GLU = 2,  /* `glu`, whose out is not used */
} oxi_prologue;

/* out = matrix * row * scale + bias + addend, for several matrices that share one input, which is quantised once. */
typedef struct oxi_op_linear {
    oxi_view x;
    int32_t prologue;
    oxi_op_norm norm;
    oxi_op_glu glu;
    int32_t n_parts;
    struct oxi_linear_part {
        int32_t matrix, bias; /* bias: vector, < 0: absent */
        float scale;
        oxi_view out, addend; /* addend: a buffer other than out's, or absent */
    } part[OXI_LINEAR_PARTS];
} oxi_op_linear;

/* A product for every head: head h of out is matrix h times the first columns of head h of x, followed by those columns of
 * x's head that are left over. */
typedef struct oxi_op_head_linear {
    oxi_view x, out; /* different buffers; all heads have the same width */
    int32_t matrix;  /* one for each head */
    int32_t shared;  /* x is one head, which all matrices multiply */
} oxi_op_head_linear;

typedef enum oxi_rope_kind {
    OXI_ROPE_PAIRS = 0, /* rotates (0, 1), (2, 3), … */
    OXI_ROPE_HALVES = 1 /* rotates (0, n/2), (1, n/2 + 1), …: NeoX */
} oxi_rope_kind;

/* Rotates n_rot columns of every head of x and y in place, starting `offset` columns into the head; y may be absent. */
typedef struct oxi_op_rope {
    oxi_view x, y, table;
    int32_t kind, head_dim, n_rot, offset;
} oxi_op_rope;

/* Stores the rows' keys and values at their positions in the cache. */
typedef struct oxi_op_kv_store {
    oxi_view k, v;
    int32_t layer; /* cache layer */
} oxi_op_kv_store;

/* Attention over the cache. The score of a query at position p and a key at position j is
 *     s = softcap(q.k * scale * temperature(p)) - slope[head] * |p - j|
 * Causal: keys with j <= p and p - j < window count. Both ways: all keys of the run count, with a window those with
 * |p - j| <= window / 2 (whole division). Chunked: keys with j <= p in the chunk of `window` tokens that p is in.
 * temperature(p) = 1 + temperature_scale * log(1 + floor((p + temperature_offset) / temperature_floor)).
 * A sink is one extra score per head: it takes part in the softmax and has no value.
 */
typedef struct oxi_op_attention {
    oxi_view q, out;
    int32_t layer, n_head;
    int32_t both_ways;     /* sees later keys too: every run of a step must be a whole sequence */
    int32_t window;        /* 0: no limit */
    int32_t chunked;       /* 0 or 1; needs a window, and not both ways */
    int32_t slopes, sinks; /* vectors [n_head], < 0: absent */
    float scale, softcap;  /* softcap 0: none */
    float temperature_scale;
    int32_t temperature_floor; /* 0: no temperature */
    int32_t temperature_offset;
} oxi_op_attention;

typedef enum oxi_gating {
    OXI_GATING_SOFTMAX = 0, /* over all experts, then the best are chosen */
    OXI_GATING_SIGMOID = 1,
    OXI_GATING_SOFTMAX_CHOSEN = 2, /* over the chosen ones only */
} oxi_gating;

#define OXI_MAX_EXPERTS 4096

/* How values inside experts are bounded. Those of up always lie between -limit and limit. */
typedef enum oxi_limited {
    OXI_LIMITED_NOT = 0,
    OXI_LIMITED_GATE = 1,       /* the gate is at most limit, before fn */
    OXI_LIMITED_ACTIVATION = 2, /* fn(gate) is at most limit */
    OXI_LIMITED_COUNT
} oxi_limited;

/* Mixture of experts: out = addend + sum over the n_used best experts of weight * down(fn(gate(x)) * up(x)); weigh_first:
 * of down(fn(weight * gate(x)) * weight * up(x)). */
typedef struct oxi_op_experts {
    oxi_view x, logits, out, addend;
    int32_t gate, up, down;                /* expert matrices; gate < 0: fn(up(x)) */
    int32_t gate_bias, up_bias, down_bias; /* vectors [n_expert * rows], < 0: absent */
    int32_t gate_scale, up_scale, down_scale; /* vectors [n_expert], < 0: absent */
    int32_t selection_bias; /* vector [n_expert], added to the scores for choosing, not for weighing; < 0: absent */
    int32_t n_expert, n_used, fn, gating;
    int32_t n_groups, n_groups_used; /* n_groups > 1: only the groups with the best two-expert sums take part */
    int32_t normalize;               /* divide the chosen weights by their sum */
    int32_t weigh_first, limited;
    float weight_scale, limit;
} oxi_op_experts;

/* out[i] = x[row of the i-th output], or the mean of the rows of that output's run, from its first one in this step up to
 * this row. */
typedef struct oxi_op_select {
    oxi_view x, out;
    int32_t mean;
} oxi_op_select;

/* out = x * scale * (times, absent: 1) + bias (absent: 0) + addend (absent: 0). times is a view or a vector. */
typedef struct oxi_op_affine {
    oxi_view x, times, addend, out;
    int32_t weight, bias; /* vectors, < 0: absent; weight: times, without such a view */
    float scale;
} oxi_op_affine;

/* out = cap * tanh(x / cap). */
typedef struct oxi_op_softcap {
    oxi_view x, out;
    float cap;
} oxi_op_softcap;

/* out = columns [offset, offset + take) of every run of `stride` columns of x, side by side. */
typedef struct oxi_op_gather {
    oxi_view x, out;
    int32_t stride, offset, take;
} oxi_op_gather;

/* out = x * fn(gate) + addend (absent: 0): each column of gate is that of equally many columns of x. */
typedef struct oxi_op_gate {
    oxi_view x, gate, addend, out;
    int32_t fn;
} oxi_op_gate;

/* out = x between low and high. */
typedef struct oxi_op_clamp {
    oxi_view x, out; /* may be the same */
    float low, high;
} oxi_op_clamp;

/* out[i] = the sum of x * y over the i-th of equally many columns. */
typedef struct oxi_op_dot {
    oxi_view x, y, out; /* out: another buffer */
} oxi_op_dot;

#define OXI_CONV_TAPS 16

/* A causal convolution of each column over the tokens of its sequence (depthwise):
 *     out[t] = fn(bias + sum over i < n_taps of kernel[i] * u[t - n_taps + 1 + i]), u = x * times (absent: 1), 0 before the first
 * token
 * state: [n_taps - 1][width], the last inputs u. */
typedef struct oxi_op_conv {
    oxi_view x, times, out;
    int32_t kernel; /* vector [n_taps][width] */
    int32_t bias;   /* vector [width], < 0: absent */
    int32_t n_taps; /* 2 to OXI_CONV_TAPS */
    int32_t fn, state;
} oxi_op_conv;

/* The gated delta rule (Yang, Kautz, Hatamizadeh: "Gated Delta Networks: Improving Mamba2 with Delta Rule", 2024, equation
 * 10). Each value head has a matrix S [key_dim][value_dim], zero before the first token. At every token
 *     g = e^(rate[head] * log(1 + e^(decay + dt[head]))), b = 1 / (1 + e^-beta)
 *     S = g S + k (b (v - k' g S))'
 *     out = q' S
 * with the q and k of key head `head % n_key_head` (tiled) or `head / (n_head / n_key_head)` (grouped). They are used as they
 * are: the layer normalises them. state: n_head times oxi_delta_state() floats. */
typedef struct oxi_op_delta {
    oxi_view q, k;        /* [n_key_head][key_dim] */
    oxi_view v, out;      /* [n_head][value_dim] */
    oxi_view decay, beta; /* [n_head] */
    int32_t rate, dt;     /* vectors [n_head] */
    int32_t n_head, n_key_head, key_dim, value_dim;
    int32_t tiled, state;
} oxi_op_delta;

/* The selective scan of Mamba-2 (Dao, Gu: "Transformers are SSMs", 2024, section 7). Each value head has a matrix S
 * [key_dim][value_dim], zero before the first token. At every token
 *     d = log(1 + e^(step + dt[head]))
 *     S = e^(rate[head] d) S + k (d v)'
 *     out = q' S + skip[head] v
 * with the q and k (in the paper C and B) of key head `head / (n_head / n_key_head)`. state: n_head times oxi_delta_state()
 * floats. */
typedef struct oxi_op_scan {
    oxi_view q, k;   /* [n_key_head][key_dim] */
    oxi_view v, out; /* [n_head][value_dim] */
    oxi_view step;   /* [n_head] */
    int32_t rate, dt, skip; /* vectors [n_head] */
    int32_t n_head, n_key_head, key_dim, value_dim;
    int32_t state;
} oxi_op_scan;

/* A recurrence whose transition is a diagonal plus a matrix of rank 1 (RWKV-7: Peng et al., 2025, equation 17; Kimi Delta
 * Attention: Kimi Team, "Kimi Linear", 2025, equation 1). Each head has a matrix S [key_dim][value_dim], zero before the first
 * token. At every token
 *     S = diag(w) S + b (a' S) + k v',  out = q' S
 * with S on the right side as it was before. state: n_head times oxi_delta_state() floats. */
typedef struct oxi_op_dplr {
    oxi_view q, w, k, a, b; /* [n_head][key_dim] */
    oxi_view v, out;        /* [n_head][value_dim] */
    int32_t n_head, key_dim, value_dim, state;
} oxi_op_dplr;

typedef struct oxi_op {
    oxi_op_kind kind;
    oxi_rows rows;
    union {
        oxi_op_embed embed;
        oxi_op_rope_table rope_table;
        oxi_op_norm norm;
        oxi_op_linear linear;
        oxi_op_glu glu;
        oxi_op_rope rope;
        oxi_op_kv_store kv_store;
        oxi_op_attention attention;
        oxi_op_experts experts;
        oxi_op_select select;
        oxi_op_affine affine;
        oxi_op_softcap softcap;
        oxi_op_head_linear head_linear;
        oxi_op_gather gather;
        oxi_op_gate gate;
        oxi_op_conv conv;
        oxi_op_delta delta;
        oxi_op_scan scan;
        oxi_op_clamp clamp;
        oxi_op_dplr dplr;
        oxi_op_dot dot;
    } as;
} oxi_op;

#endif
