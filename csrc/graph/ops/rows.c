/* The ops that work row by row: each thread computes its share of the rows, and no row needs another. */
#include "graph/ops/ops.h"

#include <math.h>
#include <string.h>

static void run_embed(oxi_step *s, const oxi_op_embed *op, int64_t from, int64_t to)
{
    const oxi_runner *r = s->r;
    const oxi_tensor *table = r->program->tables[op->table];
    const size_t row_bytes = (size_t)(table->n_bytes / table->ne[1]);
    for (int64_t t = from; t < to; t++) {
        float *out = oxi_view_row(r, op->out, t);
        const int32_t row = op->by == OXI_EMBED_BY_TOKEN ? r->tokens[t] : op->by == OXI_EMBED_BY_POSITION ? r->positions[t] : 0;
        oxi_error ignored; /* type and length were checked when the model was described */
        (void)oxi_dequantize(table->type, table->data + row_bytes * (size_t)row, table->ne[0], out, &ignored);
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
    const float *weight = oxi_vector_data(r, op->weight), *bias = oxi_vector_data(r, op->bias);
    for (int64_t t = from; t < to; t++)
        r->vec->affine(oxi_view_row(r, op->x, t), op->scale, op->times.buffer < 0 ? weight : oxi_view_row(r, op->times, t),
                       bias, op->addend.buffer < 0 ? NULL : oxi_view_row(r, op->addend, t), op->x.width,
                       oxi_view_row(r, op->out, t));
}

/* Row by row in order, so that the bits of a mean depend on its run alone. */
static void run_select(oxi_step *s, const oxi_op_select *op, int64_t from, int64_t to)
{
    const oxi_runner *r = s->r;
    const int32_t width = op->x.width;
    for (int64_t i = from, run = 0; i < to; i++) {
        const int32_t last = r->output_rows[i];
        float *out = oxi_view_row(r, op->out, i);
        while (op->mean && r->runs[run].first + r->runs[run].count <= last) run++;
        const int32_t first = op->mean ? r->runs[run].first : last;
        const float scale = 1.0f / (float)(last - first + 1);
        r->vec->affine(oxi_view_row(r, op->x, first), 1.0f, NULL, NULL, NULL, width, out);
        for (int32_t t = first + 1; t <= last; t++)
            r->vec->affine(out, 1.0f, NULL, NULL, oxi_view_row(r, op->x, t), width, out);
        if (last > first) r->vec->affine(out, scale, NULL, NULL, NULL, width, out);
    }
}

static void run_gather(oxi_step *s, const oxi_op_gather *op, int64_t from, int64_t to)
{
    const oxi_runner *r = s->r;
    for (int64_t t = from; t < to; t++) {
        const float *x = oxi_view_row(r, op->x, t) + op->offset;
        float *out = oxi_view_row(r, op->out, t);
        for (int32_t i = 0; i < op->x.width; i += op->stride, out += op->take)
            memcpy(out, x + i, (size_t)op->take * sizeof *out);
    }
}

static void run_gate(oxi_step *s, const oxi_op_gate *op, int64_t from, int64_t to)
{
    const oxi_runner *r = s->r;
    const int32_t n = op->x.width / op->gate.width;
    for (int64_t t = from; t < to; t++) {
        const float *x = oxi_view_row(r, op->x, t), *gates = oxi_view_row(r, op->gate, t);
        const float *addend = op->addend.buffer < 0 ? NULL : oxi_view_row(r, op->addend, t);
        float *out = oxi_view_row(r, op->out, t);
        for (int32_t i = 0; i < op->gate.width; i++) {
            float gate;
            r->vec->glu((oxi_fn)op->fn, gates + i, NULL, 1, &gate);
            r->vec->affine(x + (int64_t)i * n, gate, NULL, NULL, addend ? addend + (int64_t)i * n : NULL, n,
                           out + (int64_t)i * n);
        }
    }
}

static void run_clamp(oxi_step *s, const oxi_op_clamp *op, int64_t from, int64_t to)
{
    const oxi_runner *r = s->r;
    for (int64_t t = from; t < to; t++)
        r->vec->clamp(oxi_view_row(r, op->x, t), op->low, op->high, op->x.width, oxi_view_row(r, op->out, t));
}

static void run_dot(oxi_step *s, const oxi_op_dot *op, int64_t from, int64_t to)
{
    const oxi_runner *r = s->r;
    const int32_t n = op->x.width / op->out.width;
    for (int64_t t = from; t < to; t++) {
        const float *x = oxi_view_row(r, op->x, t), *y = oxi_view_row(r, op->y, t);
        float *out = oxi_view_row(r, op->out, t);
        for (int32_t h = 0; h < op->out.width; h++, x += n, y += n) {
            float part[4] = {0};
            for (int32_t i = 0; i < n; i++) part[i % 4] += x[i] * y[i];
            out[h] = (part[0] + part[1]) + (part[2] + part[3]);
        }
    }
}

void oxi_run_rows(oxi_step *s, const oxi_op *op, int64_t rows)
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
    case OXI_OP_SELECT: run_select(s, &op->as.select, from, to); break;
    case OXI_OP_GATHER: run_gather(s, &op->as.gather, from, to); break;
    case OXI_OP_GATE: run_gate(s, &op->as.gate, from, to); break;
    case OXI_OP_DOT: run_dot(s, &op->as.dot, from, to); break;
    case OXI_OP_CLAMP: run_clamp(s, &op->as.clamp, from, to); break;
    case OXI_OP_AFFINE: run_affine(s, &op->as.affine, from, to); break;
    case OXI_OP_SOFTCAP:
        for (int64_t t = from; t < to; t++)
            r->vec->softcap(oxi_view_row(r, op->as.softcap.x, t), op->as.softcap.cap, op->as.softcap.x.width,
                            oxi_view_row(r, op->as.softcap.out, t));
        break;
    default: break;
    }
}
