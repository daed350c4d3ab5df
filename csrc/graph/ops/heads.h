/* What the recurrences share. Value columns do not depend on one another, so threads share them in whole blocks, and each
 * thread goes through the tokens of a sequence in order. */
#ifndef OXI_HEADS_H
#define OXI_HEADS_H

#include "graph/step.h"
#include "kernels/vec/recurrent.h"

#include <math.h>

/* Value columns [first, first + n) of a head, all tokens of a run. op: the one given to oxi_run_heads. */
typedef void oxi_head_work(const oxi_step *s, const void *op, const oxi_run *run, int32_t head, int32_t first, int32_t n);

/* This thread's share of the value columns of all heads, in every run. */
static inline void oxi_run_heads(const oxi_step *s, const void *op, int32_t n_head, int32_t value_dim, oxi_head_work *work)
{
    const oxi_runner *r = s->r;
    const int32_t blocks = (value_dim + OXI_DELTA_BLOCK - 1) / OXI_DELTA_BLOCK;
    int64_t from;
    const int64_t to = oxi_share(s, (int64_t)n_head * blocks, &from);
    for (int32_t i = 0; i < r->n_runs; i++)
        for (int64_t at = from; at < to;) {
            const int32_t head = (int32_t)(at / blocks), b0 = (int32_t)(at % blocks);
            const int32_t b1 = to - at < blocks - b0 ? b0 + (int32_t)(to - at) : blocks;
            const int32_t first = b0 * OXI_DELTA_BLOCK, end = b1 * OXI_DELTA_BLOCK;
            work(s, op, &r->runs[i], head, first, (end < value_dim ? end : value_dim) - first);
            at += b1 - b0;
        }
}

/* The run's first row of a head in a view of heads with `dim` columns. */
static inline float *oxi_head_rows(const oxi_runner *r, oxi_view v, const oxi_run *run, int32_t head, int32_t dim, int64_t *stride)
{
    float *rows = oxi_view_rows(r, v, stride);
    return rows + run->first * *stride + (int64_t)head * dim;
}

/* log(1 + e^x) */
static inline float oxi_softplus(float x) { return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x)); }

#endif
