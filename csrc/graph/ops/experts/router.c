/* The router's choice: which experts a row goes to, and with which weights. */
#include "graph/ops/experts/experts.h"

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

void oxi_choose_experts(const oxi_runner *r, const oxi_op_experts *op, const float *logits, int32_t *chosen, float *weights)
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
