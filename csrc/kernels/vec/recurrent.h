/* The arguments of the vector functions that carry a state from token to token. */
#ifndef OXI_RECURRENT_H
#define OXI_RECURRENT_H

#include <stdint.h>

/* Value columns that lie side by side in the state of a delta rule. */
#define OXI_DELTA_BLOCK 16

/* The floats of one head's state: [blocks][key_dim][OXI_DELTA_BLOCK], value columns padded with zeros. */
static inline int64_t oxi_delta_state(int32_t key_dim, int32_t value_dim)
{
    return (int64_t)((value_dim + OXI_DELTA_BLOCK - 1) / OXI_DELTA_BLOCK) * key_dim * OXI_DELTA_BLOCK;
}

/* n_tokens steps of the gated delta rule for value columns [first, first + n) of one head:
 *     S = decay[t] * before;  S += k[t] (beta[t] * (v[t] - k[t]' S))';  out[t] = q[t]' S
 * q, k [tokens][key_dim] and v, out [tokens][value_dim] are rows `.._stride` floats apart. first is a multiple of
 * OXI_DELTA_BLOCK. The states are those of the whole head; before may be after. How a sequence is cut into calls and its
 * columns into ranges changes no bit. */
typedef struct oxi_delta {
    const float *q, *k, *v, *decay, *beta, *before;
    float *out, *after;
    int64_t q_stride, k_stride, v_stride, out_stride;
    int32_t n_tokens, key_dim, first, n;
} oxi_delta;

/* The same for the selective scan, whose steps are in d->beta:
 *     S = decay[t] * before + k[t] (beta[t] * v[t])';  out[t] = q[t]' S + skip * v[t] */
typedef struct oxi_scan {
    oxi_delta d;
    float skip;
} oxi_scan;

/* A diagonal transition plus one of rank 1 (oxi_op_dplr), for value columns [first, first + n) of one head:
 *     S = diag(w[t]) before + b[t] (a[t]' before) + k[t] v[t]';  out[t] = q[t]' S */
typedef struct oxi_dplr {
    const float *q, *w, *k, *a, *b, *v, *before;
    float *out, *after;
    int64_t q_stride, w_stride, k_stride, a_stride, b_stride, v_stride, out_stride;
    int32_t n_tokens, key_dim, first, n;
} oxi_dplr;

#endif
