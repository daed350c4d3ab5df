/* A product for every head, each with a matrix of its own. Work is cut into tasks by (block of rows, head, run of panels).
 * A task quantises its own rows, so no barrier lies between quantising and multiplying. A thread takes tasks of its own
 * share first, the same in every step, and then those that others have left. */
#include "graph/observe.h"
#include "graph/ops/ops.h"

/* How an op's work is cut up. */
typedef struct cut {
    const oxi_weight *weight;
    int64_t rows, in_block, panels_in_task, runs; /* runs of panels in a head */
    int32_t n_head, x_step, x_dim, out_dim; /* x_step: from one head of x to the next */
} cut;

static cut cut_up(const oxi_runner *r, const oxi_op_head_linear *op, int64_t rows)
{
    const oxi_weight *w = &r->program->weights[op->matrix];
    const int64_t n_panels = w->matrix.n_panels;
    cut c = {.weight = w, .rows = rows, .in_block = rows < OXI_HEAD_ROWS ? rows : OXI_HEAD_ROWS, .n_head = w->n_experts,
             .x_dim = op->shared ? op->x.width : op->x.width / w->n_experts, .out_dim = op->out.width / w->n_experts};
    c.x_step = op->shared ? 0 : c.x_dim;
    /* Many rows share the unpacking of weights, so a head stays whole. */
    c.panels_in_task = rows > OXI_FEW_ROWS ? n_panels : oxi_few_panels_in_task(&w->matrix);
    c.runs = (n_panels + c.panels_in_task - 1) / c.panels_in_task;
    return c;
}

static void run_task(const oxi_step *s, const oxi_op_head_linear *op, const cut *c, int64_t task)
{
    const oxi_runner *r = s->r;
    const int32_t head = (int32_t)(task / c->runs % c->n_head);
    const int64_t p0 = task % c->runs * c->panels_in_task, t0 = task / c->runs / c->n_head * c->in_block;
    const oxi_matrix m = oxi_weight_matrix(c->weight, head);
    const int64_t n = c->rows - t0 < c->in_block ? c->rows - t0 : c->in_block;
    const int64_t p1 = m.n_panels - p0 < c->panels_in_task ? m.n_panels : p0 + c->panels_in_task;

    int64_t x_stride, out_stride;
    const float *x = oxi_view_rows(r, op->x, &x_stride) + t0 * x_stride + (int64_t)head * c->x_step;
    float *out = oxi_view_rows(r, op->out, &out_stride) + t0 * out_stride + (int64_t)head * c->out_dim;
    r->kernels->quantize[m.act](x, x_stride, 0, n, n, m.n_cols, s->scratch->activations);
    r->kernels->matmul[m.pack](&m, p0, p1, s->scratch->activations, n, out, out_stride, s->scratch->matmul);
    if (p0 || c->x_dim == m.n_cols) return;
    for (int64_t t = 0; t < n; t++)
        r->vec->affine(x + t * x_stride + m.n_cols, 1.0f, NULL, NULL, NULL, c->x_dim - m.n_cols,
                       out + t * out_stride + m.n_rows);
}

static void observe(const oxi_step *s, const oxi_op_head_linear *op, const cut *c)
{
    for (int64_t t = 0; t < c->rows; t++)
        for (int32_t h = 0; h < c->n_head; h++)
            oxi_observe_row(s->r, op->matrix, h, oxi_view_row(s->r, op->x, t) + (int64_t)h * c->x_step);
}

void oxi_run_head_linear(oxi_step *s, const oxi_op_head_linear *op, int64_t rows)
{
    const cut c = cut_up(s->r, op, rows);
    const int64_t n_tasks = (rows + c.in_block - 1) / c.in_block * c.n_head * c.runs;
    if (s->r->observer && !s->thread) observe(s, op, &c);
    const int round = oxi_round(s);
    for (int i = 0, owner; (owner = oxi_helped(s, i)) >= 0; i++) {
        const int64_t from = n_tasks * owner / s->n_threads, n = n_tasks * (owner + 1) / s->n_threads - from;
        for (int64_t task; (task = oxi_take(s, owner, round, n)) >= 0;) run_task(s, op, &c, from + task);
    }
}
