/* A recurrence with a diagonal plus rank-1 transition. */
#include "graph/ops/heads.h"
#include "graph/ops/ops.h"

static void run_head(const oxi_step *s, const void *fields, const oxi_run *run, int32_t head, int32_t first, int32_t n)
{
    const oxi_runner *r = s->r;
    const oxi_op_dplr *op = fields;
    const int32_t dk = op->key_dim, dv = op->value_dim;
    const int64_t offset = oxi_delta_state(dk, dv) * head;
    oxi_dplr d = {.n_tokens = run->count, .key_dim = dk, .first = first, .n = n};
    d.q = oxi_head_rows(r, op->q, run, head, dk, &d.q_stride);
    d.w = oxi_head_rows(r, op->w, run, head, dk, &d.w_stride);
    d.k = oxi_head_rows(r, op->k, run, head, dk, &d.k_stride);
    d.a = oxi_head_rows(r, op->a, run, head, dk, &d.a_stride);
    d.b = oxi_head_rows(r, op->b, run, head, dk, &d.b_stride);
    d.v = oxi_head_rows(r, op->v, run, head, dv, &d.v_stride);
    d.out = oxi_head_rows(r, op->out, run, head, dv, &d.out_stride);
    d.before = oxi_run_state(r, run, op->state) + offset;
    d.after = oxi_run_next_state(r, run, op->state) + offset;
    r->vec->dplr(&d);
}

void oxi_run_dplr(oxi_step *s, const oxi_op_dplr *op) { oxi_run_heads(s, op, op->n_head, op->value_dim, run_head); }
