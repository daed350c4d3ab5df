/* The gated delta rule. */
#include "graph/ops/heads.h"
#include "graph/ops/ops.h"

/* decay = e^(rate * softplus(a + dt)) and beta = sigmoid(b) of each token of a run, for one head. */
static void find_gates(const oxi_runner *r, const oxi_op_delta *op, const oxi_run *run, int32_t head, float *decay, float *beta)
{
    const float rate = oxi_vector_data(r, op->rate)[head], dt = oxi_vector_data(r, op->dt)[head];
    for (int32_t t = 0; t < run->count; t++) {
        decay[t] = expf(rate * oxi_softplus(oxi_view_row(r, op->decay, run->first + t)[head] + dt));
        beta[t] = 1.0f / (1.0f + expf(-oxi_view_row(r, op->beta, run->first + t)[head]));
    }
}

static void run_head(const oxi_step *s, const void *fields, const oxi_run *run, int32_t head, int32_t first, int32_t n)
{
    const oxi_runner *r = s->r;
    const oxi_op_delta *op = fields;
    const int32_t dk = op->key_dim, dv = op->value_dim;
    const int32_t key_head = op->tiled ? head % op->n_key_head : head / (op->n_head / op->n_key_head);
    const int64_t offset = oxi_delta_state(dk, dv) * head;
    float *decay = s->scratch->row, *beta = decay + run->count;
    find_gates(r, op, run, head, decay, beta);
    oxi_delta d = {.decay = decay, .beta = beta, .n_tokens = run->count, .key_dim = dk, .first = first, .n = n};
    d.q = oxi_head_rows(r, op->q, run, key_head, dk, &d.q_stride);
    d.k = oxi_head_rows(r, op->k, run, key_head, dk, &d.k_stride);
    d.v = oxi_head_rows(r, op->v, run, head, dv, &d.v_stride);
    d.out = oxi_head_rows(r, op->out, run, head, dv, &d.out_stride);
    d.before = oxi_run_state(r, run, op->state) + offset;
    d.after = oxi_run_next_state(r, run, op->state) + offset;
    r->vec->delta_rule(&d);
}

void oxi_run_delta(oxi_step *s, const oxi_op_delta *op) { oxi_run_heads(s, op, op->n_head, op->value_dim, run_head); }
