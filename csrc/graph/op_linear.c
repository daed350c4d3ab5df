/* Several matrices times one input: the rows are prepared once, then all panels of all matrices are one range of work.
 * For few rows it is cut by bytes, so that every thread streams the same share of the weights in every step. For many,
 * where arithmetic is the limit, threads take the next piece when they are done with one: a core that another program
 * slows down does not keep the others waiting.
 */
#include "graph/runner.h"

/* Pieces are what the many-token kernels unpack together, so that smaller ones would only unpack less at a time. */
enum { HANDED_OUT_ROWS = 128, PIECE_PANELS = 4 };

/* The row as the products see it: as it is, or computed into `row`. */
static const float *input_row(const oxi_runner *r, const oxi_op_linear *op, int64_t t, float *row)
{
    const float *x = oxi_view_row(r, op->x, t);
    switch (op->prologue) {
    case OXI_PROLOGUE_NORM: oxi_norm_row(r, &op->norm, x, row); return row;
    case OXI_PROLOGUE_GLU:
        r->vec->glu((oxi_fn)op->glu.fn, x, op->glu.times.buffer < 0 ? NULL : oxi_view_row(r, op->glu.times, t), op->x.width,
                    row);
        return row;
    default: return x;
    }
}

/* Which rows [p0, returned) of the panels of part `index` are this thread's. */
static int64_t panels_of(const oxi_step *s, const oxi_op_linear *op, int32_t index, int64_t *p0)
{
    int64_t total = 0, before = 0;
    for (int32_t i = 0; i < op->n_parts; i++) {
        const oxi_matrix *m = &s->r->program->weights[op->part[i].matrix].matrix;
        if (i == index) before = total;
        total += m->n_panels * (int64_t)m->panel_bytes;
    }
    const oxi_matrix *m = &s->r->program->weights[op->part[index].matrix].matrix;
    const int64_t bytes = (int64_t)m->panel_bytes;
    int64_t bounds[2];
    for (int side = 0; side < 2; side++) {
        const int64_t at = (total / s->n_threads * (s->thread + side) + total % s->n_threads * (s->thread + side) / s->n_threads)
                         - before;
        const int64_t panel = at <= 0 ? 0 : (at + bytes - 1) / bytes;
        bounds[side] = panel < m->n_panels ? panel : m->n_panels;
    }
    *p0 = bounds[0];
    return bounds[1];
}

static void run_part(const oxi_step *s, const struct oxi_linear_part *part, int64_t p0, int64_t p1, const void *act,
                     int64_t rows)
{
    const oxi_runner *r = s->r;
    const oxi_matrix *m = &r->program->weights[part->matrix].matrix;
    int64_t stride;
    float *out = oxi_view_rows(r, part->out, &stride);
    r->kernels->matmul[m->pack](m, p0, p1, act, rows, out, stride, s->scratch->matmul);

    const float *bias = oxi_vector_data(r, part->bias);
    if (part->scale == 1.0f && !bias && part->addend.buffer < 0) return;
    const int64_t c0 = p0 * OXI_PANEL, c1 = p1 * OXI_PANEL < m->n_rows ? p1 * OXI_PANEL : m->n_rows;
    for (int64_t t = 0; t < rows; t++)
        r->vec->affine(out + t * stride + c0, part->scale, NULL, bias ? bias + c0 : NULL,
                       part->addend.buffer < 0 ? NULL : oxi_view_row(r, part->addend, t) + c0, c1 - c0,
                       out + t * stride + c0);
}

/* Pieces of all parts, for as long as there are any. */
static void run_pieces(const oxi_step *s, const oxi_op_linear *op, int32_t index, const void *act, int64_t rows)
{
    for (;;) {
        int64_t piece = atomic_fetch_add_explicit(&s->r->next[index], 1, memory_order_relaxed);
        for (int32_t i = 0;; i++) {
            if (i == op->n_parts) return;
            const int64_t n_panels = s->r->program->weights[op->part[i].matrix].matrix.n_panels;
            const int64_t n_pieces = (n_panels + PIECE_PANELS - 1) / PIECE_PANELS, p0 = piece * PIECE_PANELS;
            if (piece < n_pieces) {
                run_part(s, &op->part[i], p0, p0 + PIECE_PANELS < n_panels ? p0 + PIECE_PANELS : n_panels, act, rows);
                break;
            }
            piece -= n_pieces;
        }
    }
}

/* Whether all matrices want the same kind of activations. */
static bool is_alike(const oxi_runner *r, const oxi_op_linear *op)
{
    for (int32_t i = 1; i < op->n_parts; i++)
        if (r->program->weights[op->part[i].matrix].matrix.act != r->program->weights[op->part[0].matrix].matrix.act)
            return false;
    return true;
}

/* False: cancelled. */
static bool observe(oxi_step *s, const oxi_op_linear *op, int64_t rows)
{
    /* The op before this one may have left its rows to the threads that will prepare them. */
    if (rows > 1 && !oxi_step_barrier(s)) return false;
    if (s->thread) return true;
    for (int64_t t = 0; t < rows; t++) {
        const float *row = input_row(s->r, op, t, s->scratch->row);
        for (int32_t i = 0; i < op->n_parts; i++) oxi_observe_row(s->r, op->part[i].matrix, 0, row);
    }
    return true;
}

bool oxi_run_linear(oxi_step *s, const oxi_op_linear *op, int32_t index, int64_t rows)
{
    const oxi_runner *r = s->r;
    if (r->observer && !observe(s, op, rows)) return false;
    const int64_t n_cols = op->x.width;
    /* One round for each kind of activations that the matrices want; usually all want the same. */
    for (int kind = 0, rounds = 0; kind < OXI_ACT_COUNT; kind++) {
        bool wanted = false;
        for (int32_t i = 0; i < op->n_parts; i++) wanted |= (int)r->program->weights[op->part[i].matrix].matrix.act == kind;
        if (!wanted) continue;
        if (rounds++ && rows > 1 && !oxi_step_barrier(s)) return false;
        /* A single row is prepared by every thread for itself: that is quicker than waiting for another. */
        void *act = rows == 1 ? s->scratch->activations : r->activations;
        int64_t from = 0, to = 1;
        if (rows > 1) to = oxi_share(s, rows, &from);
        if (op->prologue == OXI_PROLOGUE_NONE) {
            int64_t stride;
            const float *x = oxi_view_rows(r, op->x, &stride);
            r->kernels->prepare[kind](x, stride, from, to, rows, n_cols, act);
        } else {
            for (int64_t t = from; t < to; t++)
                r->kernels->prepare[kind](input_row(r, op, t, s->scratch->row), 0, t, t + 1, rows, n_cols, act);
        }
        if (rows > 1 && !oxi_step_barrier(s)) return false;
        if (rows >= HANDED_OUT_ROWS && is_alike(r, op)) {
            run_pieces(s, op, index, act, rows);
            return true;
        }
        for (int32_t i = 0; i < op->n_parts; i++) {
            if ((int)r->program->weights[op->part[i].matrix].matrix.act != kind) continue;
            int64_t p0;
            const int64_t p1 = panels_of(s, op, i, &p0);
            if (p0 < p1) run_part(s, &op->part[i], p0, p1, act, rows);
        }
    }
    return true;
}
