/* A mixture of experts: each row chooses its experts, the rows are sorted by expert into groups, and each expert's matrices
 * meet all rows of its group at once. Tasks are panels of one group; a thread's share is a run of groups with equal bytes.
 *
 * Few rows (decode) take few barriers: one row is chosen for, and rows are quantised, by each thread for itself, and the thread
 * that finishes the last expert of some columns adds up their results. Many rows are quantised and added up in shares of rows.
 */
#include "graph/ops/experts/experts.h"

#include "graph/observe.h"
#include "graph/ops/ops.h"

#include <math.h>

/* The state of one thread in an op. */
typedef struct pass {
    const oxi_step *s;
    const oxi_op_experts *op;
    oxi_expert_order *order;
    int64_t rows;
    bool few;
    int32_t held; /* few rows: the group whose quantised rows the thread has; -1: none */
} pass;

enum { TASK_BYTES = 256 << 10, TASKS_OF_SHARE = 8 };
enum { GATE, UP, DOWN }; /* the products, as in oxi_expert_group.act */

static const oxi_weight *weight_of(const pass *p, int product)
{
    const int32_t id[] = {p->op->gate, p->op->up, p->op->down};
    return &p->s->r->program->weights[id[product]];
}

/* Quantise rows [from, to) of a group for a product. */
static void quantize(const pass *p, const oxi_expert_group *g, int product, int64_t from, int64_t to, uint8_t *act)
{
    const oxi_runner *r = p->s->r;
    const oxi_matrix *m = &weight_of(p, product)->matrix;
    for (int64_t t = from; t < to; t++) {
        const float *row = product == DOWN ? r->experts.up + (g->first + t) * m->n_cols
                                           : oxi_view_row(r, p->op->x, p->order->source[g->first + t]);
        r->kernels->quantize[m->act](row, 0, t, t + 1, g->count, m->n_cols, act);
    }
}

/* Whether `up` multiplies with other activations than `gate`. */
static bool differ(const pass *p)
{
    return p->op->gate >= 0 && weight_of(p, GATE)->matrix.act != weight_of(p, UP)->matrix.act;
}

/* Many rows: this thread's share of the sorted rows, quantised for all. */
static void quantize_share(const pass *p, int product)
{
    int64_t from;
    const int64_t to = oxi_share(p->s, p->rows * p->op->n_used, &from);
    for (const oxi_expert_group *g = p->order->groups; from < to; g++) {
        const int64_t end = g->first + g->count;
        if (end <= from) continue;
        quantize(p, g, product, from - g->first, (end < to ? end : to) - g->first, p->s->r->experts.act + g->act[product]);
        from = end;
    }
}

/* A group's quantised rows. Few rows are quantised by each thread that needs them: that is quicker than a barrier. */
static const uint8_t *activations(pass *p, int32_t group, int product)
{
    const oxi_expert_group *g = &p->order->groups[group];
    if (!p->few) return p->s->r->experts.act + g->act[product];
    uint8_t *first = p->s->scratch->activations, *second = first + p->s->r->experts.act_few;
    if (p->held != group && !(product != DOWN && p->rows == 1 && p->held >= 0)) { /* the experts of one row share it */
        if (product == DOWN) quantize(p, g, DOWN, 0, g->count, first);
        else quantize(p, g, p->op->gate < 0 ? UP : GATE, 0, g->count, first);
        if (product != DOWN && differ(p)) quantize(p, g, UP, 0, g->count, second);
        p->held = group;
    }
    return product == UP && differ(p) ? second : first;
}

/* Panels [p0, p1) of a group's rows: product, scale and bias. */
static void multiply(pass *p, int32_t group, int product, int64_t p0, int64_t p1, float *out)
{
    const oxi_op_experts *op = p->op;
    const oxi_runner *r = p->s->r;
    const oxi_expert_group *g = &p->order->groups[group];
    const oxi_matrix m = oxi_weight_matrix(weight_of(p, product), g->expert);
    const int32_t bias_of[] = {op->gate_bias, op->up_bias, op->down_bias}, scale_of[] = {op->gate_scale, op->up_scale, op->down_scale};
    const float *biases = oxi_vector_data(r, bias_of[product]), *scales = oxi_vector_data(r, scale_of[product]);
    const int64_t width = m.n_rows, c0 = p0 * OXI_PANEL, c1 = p1 * OXI_PANEL < width ? p1 * OXI_PANEL : width;
    out += g->first * width;
    r->kernels->matmul[m.pack](&m, p0, p1, activations(p, group, product), g->count, out, width, p->s->scratch->matmul);
    for (int64_t t = 0; (biases || scales) && t < g->count; t++)
        r->vec->affine(out + t * width + c0, scales ? scales[g->expert] : 1.0f, NULL,
                       biases ? biases + g->expert * width + c0 : NULL, NULL, c1 - c0, out + t * width + c0);
}

/* The weight of a row in sorted order. */
static float weight_in_order(const pass *p, int64_t sorted)
{
    const int64_t first = (int64_t)p->order->source[sorted] * p->op->n_used;
    int32_t i = 0;
    while (p->order->place[first + i] != sorted) i++;
    return p->order->weights[first + i];
}

/* Bounds and weights of n columns before fn; gate NULL: there is none. */
static void bound(const pass *p, int64_t sorted, float *gate, float *up, int64_t n)
{
    const oxi_op_experts *op = p->op;
    const oxi_vec *vec = p->s->r->vec;
    if (op->weigh_first) {
        const float weight = weight_in_order(p, sorted);
        vec->affine(up, weight, NULL, NULL, NULL, n, up);
        if (gate) vec->affine(gate, weight, NULL, NULL, NULL, n, gate);
    }
    if (op->limited == OXI_LIMITED_NOT) return;
    vec->clamp(up, -op->limit, op->limit, n, up);
    if (op->limited == OXI_LIMITED_GATE) vec->clamp(gate, -INFINITY, op->limit, n, gate);
}

/* fn(gate) * up of some panels, in place of up. */
static void gate_up(pass *p, int32_t group, int64_t p0, int64_t p1)
{
    const oxi_runner *r = p->s->r;
    const oxi_expert_scratch *x = &r->experts;
    const oxi_expert_group *g = &p->order->groups[group];
    if (p->op->gate >= 0) multiply(p, group, GATE, p0, p1, x->gate);
    multiply(p, group, UP, p0, p1, x->up);
    const int64_t width = weight_of(p, UP)->matrix.n_rows, c0 = p0 * OXI_PANEL;
    const int64_t c1 = p1 * OXI_PANEL < width ? p1 * OXI_PANEL : width;
    for (int64_t t = g->first; t < g->first + g->count; t++) {
        float *up = x->up + t * width + c0, *gate = p->op->gate >= 0 ? x->gate + t * width + c0 : NULL;
        bound(p, t, gate, up, c1 - c0);
        if (p->op->limited == OXI_LIMITED_ACTIVATION) {
            r->vec->glu((oxi_fn)p->op->fn, gate, NULL, c1 - c0, gate);
            r->vec->clamp(gate, -INFINITY, p->op->limit, c1 - c0, gate);
            r->vec->glu(OXI_FN_NONE, gate, up, c1 - c0, up);
        } else r->vec->glu((oxi_fn)p->op->fn, gate ? gate : up, gate ? up : NULL, c1 - c0, up);
    }
}

/* out = addend + the weighted results of a row's experts, in the order of choice: columns [c0, c1). */
static void combine(const pass *p, int64_t t, int64_t c0, int64_t c1)
{
    const oxi_op_experts *op = p->op;
    const oxi_runner *r = p->s->r;
    float *out = oxi_view_row(r, op->out, t) + c0;
    const float *sum = op->addend.buffer < 0 ? NULL : oxi_view_row(r, op->addend, t) + c0;
    for (int32_t i = 0; i < op->n_used; i++, sum = out)
        r->vec->affine(r->experts.down + p->order->place[t * op->n_used + i] * op->out.width + c0,
                       op->weigh_first ? 1.0f : p->order->weights[t * op->n_used + i], NULL, NULL, sum, c1 - c0, out);
}

/* Few rows: panels [p0, p1) of one more group are done. Whoever finishes the last group's adds up these columns. */
static void finish(const pass *p, int64_t p0, int64_t p1)
{
    const int64_t width = p->op->out.width, n_panels = (width + OXI_PANEL - 1) / OXI_PANEL;
    for (int64_t from = p0, to; from < p1; from = to) {
        const int64_t block = from / OXI_EXPERT_PANELS, begin = block * OXI_EXPERT_PANELS;
        const int64_t end = begin + OXI_EXPERT_PANELS < n_panels ? begin + OXI_EXPERT_PANELS : n_panels;
        to = p1 < end ? p1 : end;
        _Atomic int32_t *const done = &p->s->r->experts.done[block].panels;
        if (atomic_fetch_add(done, (int32_t)(to - from)) + to - from < (end - begin) * p->order->n_groups) continue;
        atomic_store_explicit(done, 0, memory_order_relaxed);
        const int64_t c1 = end * OXI_PANEL < width ? end * OXI_PANEL : width;
        for (int64_t t = 0; t < p->rows; t++) combine(p, t, begin * OXI_PANEL, c1);
    }
}

/* Panels of a task. Taking a task ends the loads that are under way, so it is as large as leaves each thread a few. */
static int64_t panels_in_task(const pass *p, int product, int n_threads)
{
    const oxi_matrix *m = &weight_of(p, product)->matrix;
    int64_t least = oxi_few_panels_in_task(m);
    if (product == UP && p->op->gate >= 0 && least < oxi_few_panels_in_task(&weight_of(p, GATE)->matrix))
        least = oxi_few_panels_in_task(&weight_of(p, GATE)->matrix);
    if (!p->few) return least;
    const int64_t bytes = TASK_BYTES / (int64_t)m->panel_bytes, share = m->n_panels * p->order->n_groups / n_threads / TASKS_OF_SHARE;
    const int64_t most = (bytes < share ? bytes : share) / OXI_FEW_PANELS * OXI_FEW_PANELS;
    return most > least ? most : least;
}

/* Take tasks of a product, first of the thread's own share. Gate and up are one product. */
static void run_tasks(oxi_step *s, pass *p, int product)
{
    const oxi_matrix *m = &weight_of(p, product)->matrix;
    const int64_t in_task = panels_in_task(p, product, s->n_threads);
    const int round = oxi_round(s);
    p->held = -1;
    for (int i = 0, owner; (owner = oxi_helped(s, i)) >= 0; i++) {
        const oxi_group_share share = oxi_share_groups(p->order, m->n_panels, in_task, p->few ? 1 : OXI_TOGETHER, owner, s->n_threads);
        const int64_t n = oxi_group_tasks(&share);
        for (int64_t task; (task = oxi_take(s, owner, round, n)) >= 0;) {
            int32_t group;
            int64_t p0, p1;
            oxi_group_task(&share, task, &group, &p0, &p1);
            if (product == UP) {
                gate_up(p, group, p0, p1);
            } else {
                multiply(p, group, DOWN, p0, p1, s->r->experts.down);
                if (p->few) finish(p, p0, p1);
            }
        }
    }
}

static void observe(const pass *p, int product)
{
    const oxi_runner *r = p->s->r;
    const oxi_weight *w = weight_of(p, product);
    for (int32_t i = 0; i < p->order->n_groups; i++) {
        const oxi_expert_group *g = &p->order->groups[i];
        for (int64_t t = g->first; t < g->first + g->count; t++)
            oxi_observe_row(r, (int32_t)(w - r->program->weights), g->expert,
                            product == DOWN ? r->experts.up + t * w->matrix.n_cols : oxi_view_row(r, p->op->x, p->order->source[t]));
    }
}

static void sort(void *arg)
{
    const pass *p = arg;
    oxi_sort_by_expert(p->order, p->op, p->s->r->program, p->rows);
}

/* Choose, and sort by expert. False: cancelled. */
static bool prepare(oxi_step *s, pass *p)
{
    const oxi_op_experts *op = p->op;
    int64_t from = 0, to = 1;
    if (p->rows > 1) to = oxi_share(s, p->rows, &from);
    for (int64_t t = from; t < to; t++)
        oxi_choose_experts(s->r, op, oxi_view_row(s->r, op->logits, t), p->order->chosen + t * op->n_used,
                           p->order->weights + t * op->n_used);
    if (p->rows > 1) return oxi_step_barrier_once(s, sort, p);
    sort(p);
    return true;
}

bool oxi_run_experts(oxi_step *s, const oxi_op_experts *op, int64_t rows)
{
    oxi_runner *r = s->r;
    pass p = {.s = s, .op = op, .rows = rows, .few = rows <= OXI_FEW_ROWS,
              .order = rows == 1 ? &s->scratch->order : &r->experts.order};
    if (!prepare(s, &p)) return false;
    const bool watched = r->observer && s->thread == 0;
    if (watched && op->gate >= 0) observe(&p, GATE);
    if (watched) observe(&p, UP);
    if (!p.few) {
        quantize_share(&p, op->gate < 0 ? UP : GATE);
        if (differ(&p)) quantize_share(&p, UP);
        if (!oxi_step_barrier(s)) return false;
    }
    run_tasks(s, &p, UP);
    if (!oxi_step_barrier(s)) return false;
    if (watched) observe(&p, DOWN);
    if (!p.few) {
        quantize_share(&p, DOWN);
        if (!oxi_step_barrier(s)) return false;
    }
    run_tasks(s, &p, DOWN);
    if (p.few) return true;
    if (!oxi_step_barrier(s)) return false;
    int64_t from;
    const int64_t to = oxi_share(s, rows, &from);
    for (int64_t t = from; t < to; t++) combine(&p, t, 0, op->out.width);
    return true;
}
