/* The gated delta rule. Value columns do not depend on one another, so threads share them, and each thread goes through the
 * tokens of a sequence in order. */
#include "graph/ops/ops.h"
#include "kernels/vec/recurrent.h"

#include <math.h>

/* log(1 + e^x) */
static float softplus(float x) { return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x)); }

/* decay = e^(rate * softplus(a + dt)) and beta = sigmoid(b) of each token of a run, for one head. */
static void find_gates(const oxi_runner *r, const oxi_op_delta *op, const oxi_run *run, int32_t head, float *decay, float *beta)
{
    const float rate = oxi_vector_data(r, op->rate)[head], dt = oxi_vector_data(r, op->dt)[head];
    for (int32_t t = 0; t < run->count; t++) {
        decay[t] = expf(rate * softplus(oxi_view_row(r, op->decay, run->first + t)[head] + dt));
        beta[t] = 1.0f / (1.0f + expf(-oxi_view_row(r, op->beta, run->first + t)[head]));
    }
}

/* Blocks [b0, b1) of one head's value columns. */
static void run_head(const oxi_step *s, const oxi_op_delta *op, const oxi_run *run, int32_t head, int32_t b0, int32_t b1)
{
    const oxi_runner *r = s->r;
    const int32_t dk = op->key_dim, dv = op->value_dim;
    const int32_t key_head = op->tiled ? head % op->n_key_head : head / (op->n_head / op->n_key_head);
    const int64_t offset = oxi_delta_state(dk, dv) * head;
    float *decay = s->scratch->row, *beta = decay + run->count;
    find_gates(r, op, run, head, decay, beta);
    oxi_delta d = {.decay = decay, .beta = beta, .n_tokens = run->count, .key_dim = dk, .first = b0 * OXI_DELTA_BLOCK};
    d.n = (b1 * OXI_DELTA_BLOCK < dv ? b1 * OXI_DELTA_BLOCK : dv) - d.first;
    d.q = oxi_view_rows(r, op->q, &d.q_stride) + run->first * d.q_stride + (int64_t)key_head * dk;
    d.k = oxi_view_rows(r, op->k, &d.k_stride) + run->first * d.k_stride + (int64_t)key_head * dk;
    d.v = oxi_view_rows(r, op->v, &d.v_stride) + run->first * d.v_stride + (int64_t)head * dv;
    d.out = oxi_view_rows(r, op->out, &d.out_stride) + run->first * d.out_stride + (int64_t)head * dv;
    d.before = oxi_run_state(r, run, op->state) + offset;
    d.after = oxi_run_next_state(r, run, op->state) + offset;
    r->vec->delta_rule(&d);
}

void oxi_run_delta(oxi_step *s, const oxi_op_delta *op)
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
