/* The selective scan. As in a delta rule, threads share the value columns, and each goes through the tokens in order. */
#include "graph/ops/ops.h"
#include "kernels/vec/recurrent.h"

#include <math.h>

/* log(1 + e^x) */
static float softplus(float x) { return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x)); }

/* Blocks [b0, b1) of one head's value columns. */
static void run_head(const oxi_step *s, const oxi_op_scan *op, const oxi_run *run, int32_t head, int32_t b0, int32_t b1)
{
    const oxi_runner *r = s->r;
    const int32_t dk = op->key_dim, dv = op->value_dim, key_head = head / (op->n_head / op->n_key_head);
    const int64_t offset = oxi_delta_state(dk, dv) * head;
    const float rate = oxi_vector_data(r, op->rate)[head], dt = oxi_vector_data(r, op->dt)[head];
    float *decay = s->scratch->row, *step = decay + run->count;
    for (int32_t t = 0; t < run->count; t++) {
        step[t] = softplus(oxi_view_row(r, op->step, run->first + t)[head] + dt);
        decay[t] = expf(rate * step[t]);
    }
    oxi_scan scan = {.skip = oxi_vector_data(r, op->skip)[head]};
    oxi_delta *const d = &scan.d;
    *d = (oxi_delta){.decay = decay, .beta = step, .n_tokens = run->count, .key_dim = dk, .first = b0 * OXI_DELTA_BLOCK};
    d->n = (b1 * OXI_DELTA_BLOCK < dv ? b1 * OXI_DELTA_BLOCK : dv) - d->first;
    d->q = oxi_view_rows(r, op->q, &d->q_stride) + run->first * d->q_stride + (int64_t)key_head * dk;
    d->k = oxi_view_rows(r, op->k, &d->k_stride) + run->first * d->k_stride + (int64_t)key_head * dk;
    d->v = oxi_view_rows(r, op->v, &d->v_stride) + run->first * d->v_stride + (int64_t)head * dv;
    d->out = oxi_view_rows(r, op->out, &d->out_stride) + run->first * d->out_stride + (int64_t)head * dv;
    d->before = oxi_run_state(r, run, op->state) + offset;
    d->after = oxi_run_next_state(r, run, op->state) + offset;
    r->vec->selective_scan(&scan);
}

void oxi_run_scan(oxi_step *s, const oxi_op_scan *op)
{
    const oxi_runner *r = s->r;
    const int32_t blocks = (op->value_dim + OXI_DELTA_BLOCK - 1) / OXI_DELTA_BLOCK;
    int64_t from;
    const int64_t to = oxi_share(s, (int64_t)op->n_head * blocks, &from);
    for (int32_t i = 0; i < r->n_runs; i++)
        for (int64_t at = from; at < to;) {
            const int32_t head = (int32_t)(at / blocks), b0 = (int32_t)(at % blocks);
            const int32_t b1 = to - at < blocks - b0 ? b0 + (int32_t)(to - at) : blocks;
            run_head(s, op, &r->runs[i], head, b0, b1);
            at += b1 - b0;
        }
}
