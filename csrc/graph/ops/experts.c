/* A mixture of experts: each row chooses its experts, the rows are sorted by expert, and each expert's matrices meet
 * all of its rows at once.
 */
#include "graph/observe.h"
#include "graph/ops/ops.h"

#include <math.h>
#include <string.h>

/* The best of n scores not yet taken. Ties go to the first; NaN loses. */
static int32_t best_of(const float *scores, const bool *taken, int32_t n)
{
    int32_t best = -1;
    for (int32_t i = 0; i < n; i++)
        if (!taken[i] && (best < 0 || scores[i] > scores[best] || (isnan(scores[best]) && !isnan(scores[i])))) best = i;
    return best;
}

/* Mark experts as taken, except those of the n_groups_used best groups. A group ranks by the sum of its two best scores. */
static void drop_groups(const oxi_op_experts *op, const float *scores, bool *taken)
{
    const int32_t size = op->n_expert / op->n_groups;
    float sums[op->n_groups];
    bool kept[op->n_groups];
    for (int32_t g = 0; g < op->n_groups; g++) {
        float first = -INFINITY, second = -INFINITY;
        for (int32_t i = g * size; i < (g + 1) * size; i++) {
            if (scores[i] > first) { second = first; first = scores[i]; }
            else if (scores[i] > second) second = scores[i];
        }
        sums[g] = size > 1 ? first + second : first;
        kept[g] = false;
    }
    for (int32_t i = 0; i < op->n_groups_used; i++) kept[best_of(sums, kept, op->n_groups)] = true;
    for (int32_t i = 0; i < op->n_expert; i++) taken[i] = !kept[i / size];
}

static void choose(const oxi_runner *r, const oxi_op_experts *op, const float *logits, int32_t *chosen, float *weights)
{
    const int32_t n = op->n_expert;
    float probabilities[n], scores[n];
    bool taken[n];
    memset(taken, 0, sizeof taken);
    if (op->gating == OXI_GATING_SIGMOID) r->vec->glu(OXI_FN_SIGMOID, logits, NULL, n, probabilities);
    else memcpy(probabilities, logits, sizeof probabilities);
    if (op->gating == OXI_GATING_SOFTMAX) r->vec->softmax(probabilities, n);
    const float *bias = oxi_vector_data(r, op->selection_bias);
    for (int32_t i = 0; i < n; i++) scores[i] = probabilities[i] + (bias ? bias[i] : 0);
    if (op->n_groups > 1) drop_groups(op, scores, taken);

    float total = 0;
    for (int32_t i = 0; i < op->n_used; i++) {
        const int32_t e = best_of(scores, taken, n);
        taken[e] = true;
        chosen[i] = e;
        weights[i] = probabilities[e];
    }
    if (op->gating == OXI_GATING_SOFTMAX_CHOSEN) r->vec->softmax(weights, op->n_used);
    for (int32_t i = 0; i < op->n_used; i++) total += weights[i];
    const float floor_ = 6.103515625e-5f; /* the smallest normal half: keeps the division finite */
    const float scale = op->weight_scale / (op->normalize ? (total > floor_ ? total : floor_) : 1.0f);
    for (int32_t i = 0; i < op->n_used; i++) weights[i] *= scale;
}

/* Sort (row, choice) pairs by expert and lay out each expert's quantised rows. One thread is enough: it only counts. */
static void sort_by_expert(const oxi_runner *r, const oxi_op_experts *op, int64_t rows)
{
    const oxi_expert_scratch *x = &r->experts;
    const int64_t n = rows * op->n_used;
    int32_t *start = x->start;
    memset(start, 0, ((size_t)op->n_expert + 1) * sizeof *start);
    for (int64_t i = 0; i < n; i++) start[x->chosen[i] + 1]++;
    for (int32_t e = 0; e < op->n_expert; e++) start[e + 1] += start[e];
    for (int64_t i = 0; i < n; i++) {
        const int32_t place = start[x->chosen[i]]++;
        x->place[i] = place;
        x->source[place] = (int32_t)(i / op->n_used);
    }
    memmove(start + 1, start, (size_t)op->n_expert * sizeof *start);
    start[0] = 0;
}

/* Offset of expert e's quantised rows for a product with m. Each expert's rows are quantised as a separate batch. */
static size_t act_offset(const oxi_runner *r, const oxi_matrix *m, int32_t e)
{
    const oxi_expert_scratch *x = &r->experts;
    size_t at = 0;
    for (int32_t i = 0; i < e; i++)
        if (x->start[i + 1] > x->start[i])
            at += (oxi_act_bytes(m->act, x->start[i + 1] - x->start[i], m->n_cols) + 63) / 64 * 64;
    return at;
}

/* The i-th sorted row, `width` wide: a row of x or, if `second`, fn(gate) * up of the first products' results. */
static const float *sorted_row(const oxi_step *s, const oxi_op_experts *op, int64_t i, int64_t width, bool second)
{
    const oxi_runner *r = s->r;
    const oxi_expert_scratch *x = &r->experts;
    if (!second) return oxi_view_row(r, op->x, x->source[i]);
    if (op->gate >= 0)
        r->vec->glu((oxi_fn)op->fn, x->gate + i * width, x->up + i * width, width, s->scratch->row);
    else
        r->vec->glu((oxi_fn)op->fn, x->up + i * width, NULL, width, s->scratch->row);
    return s->scratch->row;
}

static void observe(const oxi_step *s, const oxi_op_experts *op, int32_t weight, bool second)
{
    const oxi_runner *r = s->r;
    const oxi_expert_scratch *x = &r->experts;
    const int64_t width = r->program->weights[weight].matrix.n_cols;
    for (int32_t e = 0; e < op->n_expert; e++)
        for (int64_t i = x->start[e]; i < x->start[e + 1]; i++)
            oxi_observe_row(r, weight, e, sorted_row(s, op, i, width, second));
}

/* Quantise this thread's share of the sorted rows for a product with `weight`. */
static void quantize(const oxi_step *s, const oxi_op_experts *op, int64_t n, int32_t weight, bool second)
{
    const oxi_runner *r = s->r;
    const oxi_expert_scratch *x = &r->experts;
    const oxi_matrix *m = &r->program->weights[weight].matrix;
    const int64_t width = m->n_cols;
    size_t at = 0;
    int64_t from;
    const int64_t to = oxi_share(s, n, &from);
    for (int64_t i = from, e = -1; i < to; i++) {
        if (e < 0 || x->start[e + 1] <= i) {
            do e++; while (x->start[e + 1] <= i);
            at = act_offset(r, m, (int32_t)e);
        }
        const float *row = sorted_row(s, op, i, width, second);
        const int64_t t = i - x->start[e];
        r->kernels->quantize[m->act](row, 0, t, t + 1, x->start[e + 1] - x->start[e], width, x->act + at);
    }
}

/* This thread's panels of every expert that has rows. */
static void multiply(const oxi_step *s, const oxi_op_experts *op, int32_t weight, int32_t bias, int32_t scale, float *out)
{
    const oxi_runner *r = s->r;
    const oxi_expert_scratch *x = &r->experts;
    const oxi_weight *w = &r->program->weights[weight];
    const float *biases = oxi_vector_data(r, bias), *scales = oxi_vector_data(r, scale);
    const int64_t width = w->matrix.n_rows;
    int64_t p0;
    const int64_t p1 = oxi_share(s, w->matrix.n_panels, &p0);
    const int64_t c0 = p0 * OXI_PANEL, c1 = p1 * OXI_PANEL < width ? p1 * OXI_PANEL : width;
    if (p0 >= p1) return;
    size_t at = 0;
    for (int32_t e = 0; e < op->n_expert; e++) {
        const int64_t first = x->start[e], count = x->start[e + 1] - first;
        if (!count) continue;
        const oxi_matrix m = oxi_weight_matrix(w, e);
        r->kernels->matmul[m.pack](&m, p0, p1, x->act + at, count, out + first * width, width, s->scratch->matmul);
        at += (oxi_act_bytes(m.act, count, m.n_cols) + 63) / 64 * 64;
        if (!biases && !scales) continue;
        for (int64_t t = first; t < first + count; t++)
            r->vec->affine(out + t * width + c0, scales ? scales[e] : 1.0f, NULL, biases ? biases + e * width + c0 : NULL,
                           NULL, c1 - c0, out + t * width + c0);
    }
}

static void combine(const oxi_step *s, const oxi_op_experts *op, int64_t rows)
{
    const oxi_runner *r = s->r;
    const oxi_expert_scratch *x = &r->experts;
    const int64_t width = op->out.width;
    int64_t from;
    const int64_t to = oxi_share(s, rows, &from);
    for (int64_t t = from; t < to; t++) {
        float *out = oxi_view_row(r, op->out, t);
        const float *sum = op->addend.buffer < 0 ? NULL : oxi_view_row(r, op->addend, t);
        for (int32_t i = 0; i < op->n_used; i++, sum = out)
            r->vec->affine(x->down + x->place[t * op->n_used + i] * width, x->weights[t * op->n_used + i], NULL, NULL, sum,
                           width, out);
    }
}

bool oxi_run_experts(oxi_step *s, const oxi_op_experts *op, int64_t rows)
{
    const oxi_runner *r = s->r;
    const oxi_expert_scratch *x = &r->experts;
    const oxi_weight *weights = r->program->weights;
    const int64_t n = rows * op->n_used;
    const bool alike = op->gate < 0 || weights[op->gate].matrix.act == weights[op->up].matrix.act;
    int64_t from;
    const int64_t to = oxi_share(s, rows, &from);
    for (int64_t t = from; t < to; t++)
        choose(r, op, oxi_view_row(r, op->logits, t), x->chosen + t * op->n_used, x->weights + t * op->n_used);
    if (!oxi_step_barrier(s)) return false;
    if (s->thread == 0) sort_by_expert(r, op, rows);
    if (!oxi_step_barrier(s)) return false;
    const bool watched = r->observer && s->thread == 0;
    if (watched && op->gate >= 0) observe(s, op, op->gate, false);
    if (watched) observe(s, op, op->up, false);
    if (op->gate >= 0) {
        quantize(s, op, n, op->gate, false);
        if (!oxi_step_barrier(s)) return false;
        multiply(s, op, op->gate, op->gate_bias, op->gate_scale, x->gate);
        if (!alike && !oxi_step_barrier(s)) return false;
    }
    if (op->gate < 0 || !alike) {
        quantize(s, op, n, op->up, false);
        if (!oxi_step_barrier(s)) return false;
    }
    multiply(s, op, op->up, op->up_bias, op->up_scale, x->up);
    if (!oxi_step_barrier(s)) return false;
    if (watched) observe(s, op, op->down, true);
    quantize(s, op, n, op->down, true);
    if (!oxi_step_barrier(s)) return false;
    multiply(s, op, op->down, op->down_bias, op->down_scale, x->down);
    if (!oxi_step_barrier(s)) return false;
    combine(s, op, rows);
    return true;
}
