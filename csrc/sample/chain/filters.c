#include <math.h>

#include "sample/chain/steps.h"
#include "sample/portable.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

/* Weights are probabilities times their total, and the largest weight is 1. */

static void keep_least(oxi_left *l, double least)
{
    oxi_left_keep_weights(l, (oxi_candidate){least < 1 ? (float)least : 1.0f, INT32_MAX});
}

void oxi_keep_top_k(oxi_left *l, const oxi_sampler_params *p)
{
    if (p->top_k > 0 && (size_t)p->top_k < l->row.n) oxi_left_keep_top(l, (size_t)p->top_k);
}

void oxi_keep_top_p(oxi_left *l, const oxi_sampler_params *p)
{
    if (!(p->top_p < 1)) return;
    oxi_left_weigh(l);
    const float *w = l->scratch->weights;
    const double wanted = (double)p->top_p * l->total;
    if (!l->sorted) {
        oxi_left_keep_weights(l, oxi_left_mass_cut(l, w, l->scratch->weight_maxima, wanted));
        return;
    }
    double sum = 0;
    for (size_t i = 0; i < l->row.n; i++)
        if ((sum += w[i]) >= wanted) {
            oxi_left_keep_weights(l, (oxi_candidate){w[i], (int32_t)i});
            return;
        }
}

void oxi_keep_min_p(oxi_left *l, const oxi_sampler_params *p)
{
    if (p->min_p > 0) keep_least(l, p->min_p);
}

void oxi_keep_top_a(oxi_left *l, const oxi_sampler_params *p)
{
    if (!(p->top_a > 0)) return;
    oxi_left_weigh(l);
    keep_least(l, p->top_a / l->total);
}

void oxi_keep_epsilon(oxi_left *l, const oxi_sampler_params *p)
{
    if (!(p->epsilon_cutoff > 0)) return;
    oxi_left_weigh(l);
    keep_least(l, p->epsilon_cutoff * l->total);
}

void oxi_keep_eta(oxi_left *l, const oxi_sampler_params *p)
{
    if (!(p->eta_cutoff > 0)) return;
    const double by_entropy = sqrt((double)p->eta_cutoff) * oxi_exp(-oxi_left_entropy(l));
    keep_least(l, (by_entropy < p->eta_cutoff ? by_entropy : (double)p->eta_cutoff) * l->total);
}

void oxi_keep_top_n_sigma(oxi_left *l, const oxi_sampler_params *p)
{
    if (!(p->top_n_sigma > 0)) return;
    const float max = l->row.max;
    if (!(max < INFINITY)) {
        oxi_left_keep_logits(l, max);
        return;
    }
    double count, sum, squares; /* of logit - max, without -inf */
    l->vec->moments(l->row.x, (int64_t)l->row.n, max, &count, &sum, &squares);
    const double mean = sum / count, variance = squares / count - mean * mean;
    oxi_left_keep_logits(l, (float)(max - p->top_n_sigma * sqrt(variance > 0 ? variance : 0)));
}

/* With d = ln w, a token's surprise less the entropy is D - d, where D is the mean of d: see oxi_left_entropy. */
void oxi_keep_typical(oxi_left *l, const oxi_sampler_params *p)
{
    const float max = l->row.max, inverse = 1.0f / l->temperature;
    if (!(p->typical_p < 1 && max < INFINITY && inverse < INFINITY)) return;
    const double entropy = oxi_left_entropy(l), mean = oxi_ln(l->total) - entropy;
    float *keys = l->scratch->keys;
    l->vec->nearness(l->row.x, l->scratch->weights, (int64_t)l->row.n, max, inverse, mean, keys);
    l->vec->block_maxima(keys, (int64_t)l->row.n, l->scratch->key_maxima);
    const double wanted = (double)p->typical_p * l->total;
    oxi_left_keep_keys(l, oxi_left_mass_cut(l, keys, l->scratch->key_maxima, wanted).value);
}

void oxi_drop_top_choices(oxi_left *l, const oxi_sampler_params *p, oxi_rng *rng)
{
    if (!(p->xtc_probability > 0 && p->xtc_threshold <= 0.5f)) return; /* two tokens cannot both have more than a half */
    if (!(oxi_rng_uniform(rng) < p->xtc_probability)) return;
    oxi_left_weigh(l);
    const float *w = l->scratch->weights;
    const double least = p->xtc_threshold * l->total;
    oxi_candidate worst = {2, 0};
    size_t n = 0;
    for (size_t b = 0; b < oxi_blocks(l->row.n); b++) {
        if (!(l->scratch->weight_maxima[b] >= least)) continue;
        const size_t end = oxi_block_end(l->row.n, b);
        for (size_t i = b * OXI_LOGIT_BLOCK; i < end; i++) {
            const oxi_candidate c = {w[i], (int32_t)i};
            if (!(w[i] >= least && w[i] > 0)) continue;
            n++;
            if (oxi_better(worst, c)) worst = c;
        }
    }
    if (n > 1) oxi_left_drop_better(l, worst);
}
