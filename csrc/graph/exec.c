/* Executes the op list. All threads run the same list. A barrier separates two ops, unless both work row by row and each
 * thread handles the same rows in both. */
#include "graph/runner.h"

#include <math.h>

bool oxi_step_barrier(oxi_step *s)
{
    oxi_runner *r = s->r;
    s->barriers++;
    /* Thread 0 decides for all threads before it arrives. The number tells threads that read it late which barrier was
     * meant. */
    if (s->thread == 0 && atomic_load_explicit(&r->cancel, memory_order_relaxed) && !atomic_load(&r->stop_at))
        atomic_store(&r->stop_at, s->barriers);
    oxi_pool_barrier(r->pool);
    const uint64_t stop = atomic_load_explicit(&r->stop_at, memory_order_acquire);
    return !(stop && stop <= s->barriers);
}

static void run_embed(oxi_step *s, const oxi_op_embed *op, int64_t from, int64_t to)
{
    const oxi_runner *r = s->r;
    const oxi_tensor *table = r->program->tables[op->table];
    const size_t row_bytes = (size_t)(table->n_bytes / table->ne[1]);
    for (int64_t t = from; t < to; t++) {
        float *out = oxi_view_row(r, op->out, t);
        oxi_error ignored; /* type and length were checked when the model was described */
        (void)oxi_dequantize(table->type, table->data + row_bytes * (size_t)r->tokens[t], table->ne[0], out, &ignored);
        if (op->scale != 1.0f) r->vec->affine(out, op->scale, NULL, NULL, NULL, op->out.width, out);
    }
}

static void run_rope_table(oxi_step *s, const oxi_op_rope_table *op, int64_t from, int64_t to)
{
    const oxi_runner *r = s->r;
    const float *frequencies = oxi_vector_data(r, op->frequencies);
    const int32_t half = op->out.width / 2;
    for (int64_t t = from; t < to; t++) {
        float *out = oxi_view_row(r, op->out, t);
        for (int32_t i = 0; i < half; i++) {
            const float angle = (float)r->positions[t] * frequencies[i];
            out[i] = cosf(angle) * op->magnitude;
            out[half + i] = sinf(angle) * op->magnitude;
        }
    }
}

void oxi_norm_row(const oxi_runner *r, const oxi_op_norm *op, const float *x, float *out)
{
    const float *weight = oxi_vector_data(r, op->weight), *bias = oxi_vector_data(r, op->bias);
    const int32_t width = op->x.width, group = op->group;
    const bool own_weights = weight && r->program->vectors[op->weight].n != group;
    const bool own_biases = bias && r->program->vectors[op->bias].n != group;
    for (int32_t i = 0; i < width; i += group) {
        const float *w = own_weights ? weight + i : weight, *b = own_biases ? bias + i : bias;
        if (op->kind == OXI_NORM_RMS) r->vec->rms_norm(x + i, w, b, group, op->eps, out + i);
        else r->vec->layer_norm(x + i, w, b, group, op->eps, out + i);
    }
}

static void run_rope(oxi_step *s, const oxi_op_rope *op, int64_t from, int64_t to)
{
    const oxi_runner *r = s->r;
    void (*const rotate)(float *, const float *, int32_t, int32_t, int32_t) =
        op->kind == OXI_ROPE_PAIRS ? r->vec->rope_pairs : r->vec->rope_halves;
    for (int64_t t = from; t < to; t++) {
        const float *table = oxi_view_row(r, op->table, t);
        rotate(oxi_view_row(r, op->x, t) + op->offset, table, op->n_rot / 2, op->x.width / op->head_dim, op->head_dim);
        if (op->y.buffer >= 0)
            rotate(oxi_view_row(r, op->y, t) + op->offset, table, op->n_rot / 2, op->y.width / op->head_dim, op->head_dim);
    }
}

static void run_affine(oxi_step *s, const oxi_op_affine *op, int64_t from, int64_t to)
{
    const oxi_runner *r = s->r;
    for (int64_t t = from; t < to; t++)
        r->vec->affine(oxi_view_row(r, op->x, t), op->scale, op->times.buffer < 0 ? NULL : oxi_view_row(r, op->times, t),
                       NULL, op->addend.buffer < 0 ? NULL : oxi_view_row(r, op->addend, t), op->x.width,
                       oxi_view_row(r, op->out, t));
}

static void run_rows(oxi_step *s, const oxi_op *op, int64_t rows)
{
    const oxi_runner *r = s->r;
    int64_t from;
    const int64_t to = oxi_share(s, rows, &from);
    switch (op->kind) {
    case OXI_OP_EMBED: run_embed(s, &op->as.embed, from, to); break;
    case OXI_OP_ROPE_TABLE: run_rope_table(s, &op->as.rope_table, from, to); break;
    case OXI_OP_NORM:
        for (int64_t t = from; t < to; t++)
            oxi_norm_row(r, &op->as.norm, oxi_view_row(r, op->as.norm.x, t), oxi_view_row(r, op->as.norm.out, t));
        break;
    case OXI_OP_GLU:
        for (int64_t t = from; t < to; t++)
            r->vec->glu((oxi_fn)op->as.glu.fn, oxi_view_row(r, op->as.glu.x, t),
                        op->as.glu.times.buffer < 0 ? NULL : oxi_view_row(r, op->as.glu.times, t), op->as.glu.x.width,
                        oxi_view_row(r, op->as.glu.out, t));
        break;
    case OXI_OP_ROPE: run_rope(s, &op->as.rope, from, to); break;
    case OXI_OP_KV_STORE: oxi_run_kv_store(s, &op->as.kv_store); break;
    case OXI_OP_SELECT:
        for (int64_t t = from; t < to; t++)
            r->vec->affine(oxi_view_row(r, op->as.select.x, r->output_rows[t]), 1.0f, NULL, NULL, NULL,
                           op->as.select.x.width, oxi_view_row(r, op->as.select.out, t));
        break;
    case OXI_OP_AFFINE: run_affine(s, &op->as.affine, from, to); break;
    case OXI_OP_SOFTCAP:
        for (int64_t t = from; t < to; t++)
            r->vec->softcap(oxi_view_row(r, op->as.softcap.x, t), op->as.softcap.cap, op->as.softcap.x.width,
                            oxi_view_row(r, op->as.softcap.out, t));
        break;
    default: break;
    }
}

/* True if the op begins by reading only rows of its thread's own share. A linear op on one row begins on every thread. */
static bool starts_by_rows(const oxi_op *op, int64_t rows)
{
    switch (op->kind) {
    case OXI_OP_SELECT:
    case OXI_OP_ATTENTION: return false;
    case OXI_OP_LINEAR: return rows > 1;
    default: return true;
    }
}

/* True if the op ends having written only rows of its thread's own share. */
static bool ends_by_rows(const oxi_op *op)
{
    return op->kind != OXI_OP_LINEAR && op->kind != OXI_OP_ATTENTION;
}

void oxi_step_run(void *runner, int thread, int n_threads)
{
    oxi_runner *r = runner;
    oxi_step s = {.r = r, .thread = thread, .n_threads = n_threads, .scratch = &r->threads[thread]};
    bool by_rows = true; /* nothing has been written yet */
    oxi_rows shared_by = OXI_ROWS_TOKENS;
    for (int32_t i = 0; i < r->program->n_ops; i++) {
        const oxi_op *op = &r->program->ops[i];
        const int64_t rows = op->rows == OXI_ROWS_TOKENS ? r->n_tokens : r->n_outputs;
        if (!rows) continue;
        if (op->kind == OXI_OP_ATTENTION) oxi_fetch_attention(&s, &op->as.attention);
        if (!(by_rows && shared_by == op->rows && starts_by_rows(op, rows)) && i && !oxi_step_barrier(&s)) return;
        switch (op->kind) {
        case OXI_OP_LINEAR: if (!oxi_run_linear(&s, &op->as.linear, i, rows)) return; break;
        case OXI_OP_EXPERTS: if (!oxi_run_experts(&s, &op->as.experts, rows)) return; break;
        case OXI_OP_ATTENTION: oxi_run_attention(&s, &op->as.attention, i); break;
        default: run_rows(&s, op, rows); break;
        }
        by_rows = ends_by_rows(op);
        shared_by = op->rows;
    }
}
