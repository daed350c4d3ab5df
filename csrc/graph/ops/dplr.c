/* A recurrence with a diagonal plus rank-1 transition. As in a delta rule, threads share the value columns. */
#include "graph/ops/ops.h"
#include "kernels/vec/recurrent.h"

/* Row 0 of a run in a view of heads with `dim` columns. */
static const float *head_of(const oxi_runner *r, oxi_view v, const oxi_run *run, int32_t head, int32_t dim, int64_t *stride)
{
    const float *rows = oxi_view_rows(r, v, stride);
    return rows + run->first * *stride + (int64_t)head * dim;
}

/* Blocks [b0, b1) of one head's value columns. */
static void run_head(const oxi_step *s, const oxi_op_dplr *op, const oxi_run *run, int32_t head, int32_t b0, int32_t b1)
{
    const oxi_runner *r = s->r;
    const int32_t dk = op->key_dim, dv = op->value_dim;
    const int64_t offset = oxi_delta_state(dk, dv) * head;
    oxi_dplr d = {.n_tokens = run->count, .key_dim = dk, .first = b0 * OXI_DELTA_BLOCK};
    d.n = (b1 * OXI_DELTA_BLOCK < dv ? b1 * OXI_DELTA_BLOCK : dv) - d.first;
    d.q = head_of(r, op->q, run, head, dk, &d.q_stride);
    d.w = head_of(r, op->w, run, head, dk, &d.w_stride);
    d.k = head_of(r, op->k, run, head, dk, &d.k_stride);
    d.a = head_of(r, op->a, run, head, dk, &d.a_stride);
    d.b = head_of(r, op->b, run, head, dk, &d.b_stride);
    d.v = head_of(r, op->v, run, head, dv, &d.v_stride);
    d.out = oxi_view_rows(r, op->out, &d.out_stride) + run->first * d.out_stride + (int64_t)head * dv;
    d.before = oxi_run_state(r, run, op->state) + offset;
    d.after = oxi_run_next_state(r, run, op->state) + offset;
    r->vec->dplr(&d);
}

void oxi_run_dplr(oxi_step *s, const oxi_op_dplr *op)
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
