/* Several matrices times one input. The rows are quantised once; then all panels of all matrices form one range of work.
 * It is cut by bytes, so every thread streams the same share of the weights in every step. A thread that finishes its
 * share takes tasks of other shares (unless the matrices want different kinds of activations), so a core that another
 * program slows down does not hold up the others. */
#include "graph/observe.h"
#include "graph/ops/ops.h"

enum { MANY_ROWS = 128 }; /* from here on, OXI_TOGETHER panels make a worthwhile task */

static int64_t panels_in_task(const oxi_matrix *m, int64_t rows)
{
    return rows >= MANY_ROWS ? OXI_TOGETHER : oxi_few_panels_in_task(m);
}

/* The input row as the products see it: unchanged, or computed into `row`. */
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

/* Part `i` of a share: its panels, and the tasks they make. */
typedef struct piece {
    int32_t p0, p1, in_task, n_tasks;
} piece;

/* The share of `owner`, a piece of each part; returns the number of its tasks. */
static int64_t share_of(const oxi_step *s, const oxi_op_linear *op, int32_t index, int owner, int64_t rows, piece *pieces)
{
    const oxi_panel_shares *shares = &s->r->shares[index];
    const int32_t *bounds = (rows > OXI_FEW_ROWS ? shares->many : shares->few) + owner;
    int64_t n = 0;
    for (int32_t i = 0; i < op->n_parts; i++, bounds += s->n_threads + 1) {
        const int32_t in_task = (int32_t)panels_in_task(&s->r->program->weights[op->part[i].matrix].matrix, rows);
        pieces[i] = (piece){bounds[0], bounds[1], in_task, (bounds[1] - bounds[0] + in_task - 1) / in_task};
        n += pieces[i].n_tasks;
    }
    return n;
}

/* Run tasks of one thread's share until none is left. */
static void run_share(const oxi_step *s, const oxi_op_linear *op, int32_t index, int owner, int round, const void *act,
                      int64_t rows)
{
    piece pieces[OXI_LINEAR_PARTS];
    const int64_t n = share_of(s, op, index, owner, rows, pieces);
    for (int64_t task; (task = oxi_take(s, owner, round, n)) >= 0;) {
        int32_t i = 0;
        for (; task >= pieces[i].n_tasks; i++) task -= pieces[i].n_tasks;
        const int64_t p0 = pieces[i].p0 + task * pieces[i].in_task, p1 = p0 + pieces[i].in_task;
        run_part(s, &op->part[i], p0, p1 < pieces[i].p1 ? p1 : pieces[i].p1, act, rows);
    }
}

/* Returns false if cancelled. */
static bool observe(oxi_step *s, const oxi_op_linear *op, int64_t rows)
{
    /* The op before may have left each row to the thread that would quantise it, without a barrier. */
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
    /* One round per kind of activations that the matrices want; usually there is only one. */
    for (int kind = 0, rounds = 0; kind < OXI_ACT_COUNT; kind++) {
        bool wanted = false;
        for (int32_t i = 0; i < op->n_parts; i++) wanted |= (int)r->program->weights[op->part[i].matrix].matrix.act == kind;
        if (!wanted) continue;
        if (rounds++ && rows > 1 && !oxi_step_barrier(s)) return false;
        /* Every thread quantises a single row for itself: that is faster than waiting for another thread. */
        void *act = rows == 1 ? s->scratch->activations : r->activations;
        int64_t from = 0, to = 1;
        if (rows > 1) to = oxi_share(s, rows, &from);
        if (op->prologue == OXI_PROLOGUE_NONE) {
            int64_t stride;
            const float *x = oxi_view_rows(r, op->x, &stride);
            r->kernels->quantize[kind](x, stride, from, to, rows, n_cols, act);
        } else {
            for (int64_t t = from; t < to; t++)
                r->kernels->quantize[kind](input_row(r, op, t, s->scratch->row), 0, t, t + 1, rows, n_cols, act);
        }
        if (rows > 1 && !oxi_step_barrier(s)) return false;
        if (s->times) s->times->prepared += oxi_lap(s);
        if (r->shares[index].alike) {
            const int round = oxi_round(s);
            for (int i = 0, owner; (owner = oxi_helped(s, i)) >= 0; i++) run_share(s, op, index, owner, round, act, rows);
            return true;
        }
        for (int32_t i = 0; i < op->n_parts; i++) {
            if ((int)r->program->weights[op->part[i].matrix].matrix.act != kind) continue;
            const int32_t *bounds = r->shares[index].few + i * (s->n_threads + 1) + s->thread;
            if (bounds[0] < bounds[1]) run_part(s, &op->part[i], bounds[0], bounds[1], act, rows);
        }
    }
    return true;
}
