/* The selective scan. */
#include "graph/ops/heads.h"
#include "graph/ops/ops.h"

static void run_head(const oxi_step *s, const void *fields, const oxi_run *run, int32_t head, int32_t first, int32_t n)
{
    const oxi_runner *r = s->r;
    const oxi_op_scan *op = fields;
    const int32_t dk = op->key_dim, dv = op->value_dim, key_head = head / (op->n_head / op->n_key_head);
    const int64_t offset = oxi_delta_state(dk, dv) * head;
    const float rate = oxi_vector_data(r, op->rate)[head], dt = oxi_vector_data(r, op->dt)[head];
    float *decay = s->scratch->row, *step = decay + run->count;
    for (int32_t t = 0; t < run->count; t++) {
        step[t] = oxi_softplus(oxi_view_row(r, op->step, run->first + t)[head] + dt);
        decay[t] = expf(rate * step[t]);
    }
    oxi_scan scan = {.skip = oxi_vector_data(r, op->skip)[head]};
    oxi_delta *const d = &scan.d;
    *d = (oxi_delta){.decay = decay, .beta = step, .n_tokens = run->count, .key_dim = dk, .first = first, .n = n};
    d->q = oxi_head_rows(r, op->q, run, key_head, dk, &d->q_stride);
    d->k = oxi_head_rows(r, op->k, run, key_head, dk, &d->k_stride);
    d->v = oxi_head_rows(r, op->v, run, head, dv, &d->v_stride);
    d->out = oxi_head_rows(r, op->out, run, head, dv, &d->out_stride);
    d->before = oxi_run_state(r, run, op->state) + offset;
    d->after = oxi_run_next_state(r, run, op->state) + offset;
    r->vec->selective_scan(&scan);
}

void oxi_run_scan(oxi_step *s, const oxi_op_scan *op) { oxi_run_heads(s, op, op->n_head, op->value_dim, run_head); }
