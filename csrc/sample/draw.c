/* Temperature, top-k, top-p, min-p and the draw. Every filter keeps a prefix of the tokens in the order "larger logit
 * first, equal ones by lower id". So each filter is a cut in that order, and only the tokens near its cut need sorting. */
#include <math.h>
#include <string.h>

#include "sample/sampler.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

/* Weights of n logits none of which is above `max`: exp((x - max) / temperature), exactly 1 where x == max. Returns their
 * sum, which has one order of summation. */
static double weigh(const oxi_vec *vec, const float *x, size_t n, float max, float temperature, float *w, float *maxima)
{
    const float inverse = 1.0f / temperature;
    if (max < INFINITY && inverse < INFINITY) return vec->weights(x, (int64_t)n, max, inverse, w, maxima);
    double sum = 0; /* differences would be NaN: the maximum has all the weight */
    for (size_t i = 0; i < n; i++) sum += w[i] = x[i] == max ? 1.0f : 0.0f;
    vec->block_maxima(w, (int64_t)n, maxima);
    return sum;
}

/* How many of the n best-first weights top-p keeps: the fewest whose sum reaches `wanted`. */
static size_t nucleus(const oxi_candidate *c, size_t n, double wanted)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        if ((sum += c[i].value) >= wanted) return i + 1;
    return n;
}

/* top-k leaves few candidates: sort them and cut the list from its end. */
static int32_t draw_from_few(oxi_sampler *s, const oxi_vec *vec, const oxi_row *row, oxi_sample_scratch *scratch)
{
    const oxi_sampler_params *p = &s->params;
    oxi_candidate *c = scratch->candidates;
    size_t n = (size_t)p->top_k;
    oxi_row_top(row, c, n);
    float *best = scratch->changed; /* the row is no longer needed, wherever it lies */
    for (size_t i = 0; i < n; i++) best[i] = c[i].value;
    const double total = weigh(vec, best, n, row->max, p->temperature, scratch->weights, scratch->weight_maxima);
    for (size_t i = 0; i < n; i++) c[i].value = scratch->weights[i];
    if (p->top_p < 1) n = nucleus(c, n, (double)p->top_p * total);
    while (n > 1 && c[n - 1].value < p->min_p) n--; /* the best weighs exactly 1 */
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += c[i].value;
    double left = oxi_rng_uniform(&s->rng) * sum;
    for (size_t i = 0; i < n; i++)
        if ((left -= c[i].value) < 0) return c[i].id;
    return c[0].id; /* rounding used up the remainder */
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Weights are sorted into buckets by their leading bits, an eighth of an octave each. The weights of a bucket are multiples
 * of one power of two, and less than 2^25 times it. So their sum is exact in float64 and has no order: the partial sums
 * below keep the additions of neighbouring tokens from waiting for one another. */
enum { SHIFT = 20, N_BUCKETS = (0x3f800000 >> SHIFT) + 1, PARTS = 4 }; /* up to the weight 1.0f */

/* The worst candidate that top-p keeps. Only the bucket that contains the cut is ordered. */
static oxi_candidate nucleus_cut(const oxi_sample_scratch *scratch, size_t n_vocab, double wanted)
{
    double sums[N_BUCKETS][PARTS];
    memset(sums, 0, sizeof sums);
    const float *w = scratch->weights;
    size_t i = 0;
    for (; i + PARTS <= n_vocab; i += PARTS)
        for (size_t j = 0; j < PARTS; j++) sums[bits_of(w[i + j]) >> SHIFT][j] += w[i + j];
    for (; i < n_vocab; i++) sums[bits_of(w[i]) >> SHIFT][0] += w[i];
    size_t bucket = N_BUCKETS - 1;
    double sum = 0;
    for (; bucket > 0; bucket--) {
        const double more = (sums[bucket][0] + sums[bucket][1]) + (sums[bucket][2] + sums[bucket][3]);
        if (sum + more >= wanted) break;
        sum += more;
    }
    oxi_candidate *c = scratch->candidates;
    size_t n = 0;
    for (size_t b = 0; b < oxi_blocks(n_vocab); b++) {
        if (bits_of(scratch->weight_maxima[b]) >> SHIFT < bucket) continue;
        const size_t end = oxi_block_end(n_vocab, b);
        for (i = b * OXI_LOGIT_BLOCK; i < end; i++) { /* without a branch: which tokens belong is hard to foresee */
            c[n] = (oxi_candidate){w[i], (int32_t)i};
            n += bits_of(w[i]) >> SHIFT == bucket;
        }
    }
    oxi_candidate cut = {0, INT32_MAX};
    oxi_heapify_best(c, n);
    for (; n > 0; n--) {
        cut = c[0];
        if ((sum += cut.value) >= wanted) break;
        oxi_pop_best(c, n);
    }
    return cut;
}

/* Draw from the weights that are not worse than the cut. */
static int32_t draw_above(oxi_sampler *s, oxi_candidate cut, const oxi_sample_scratch *scratch, size_t n_vocab)
{
    const float *w = scratch->weights;
    oxi_candidate *c = scratch->candidates;
    size_t n = 0;
    for (size_t b = 0; b < oxi_blocks(n_vocab); b++) {
        if (scratch->weight_maxima[b] == 0 || scratch->weight_maxima[b] < cut.value) continue;
        const size_t end = oxi_block_end(n_vocab, b);
        for (size_t i = b * OXI_LOGIT_BLOCK; i < end; i++) {
            const bool kept = (w[i] > cut.value) | ((w[i] == cut.value) & ((int32_t)i <= cut.id));
            c[n] = (oxi_candidate){w[i], (int32_t)i};
            n += kept & (w[i] > 0);
        }
    }
    double total = 0;
    for (size_t i = 0; i < n; i++) total += c[i].value;
    double left = oxi_rng_uniform(&s->rng) * total;
    size_t i = 0;
    while (i + 1 < n && !((left -= c[i].value) < 0)) i++; /* the last one, if rounding used up the remainder */
    return c[i].id;
}

static int32_t draw_from_all(oxi_sampler *s, const oxi_vec *vec, const oxi_row *row, oxi_sample_scratch *scratch)
{
    const oxi_sampler_params *p = &s->params;
    const size_t n = row->n;
    const double total = weigh(vec, row->x, n, row->max, p->temperature, scratch->weights, scratch->weight_maxima);
    if (p->top_p < 1 || p->min_p > 0) {
        const float least = p->min_p < 1 ? p->min_p : 1.0f;
        oxi_candidate cut = {least, INT32_MAX};
        if (p->top_p < 1) {
            const oxi_candidate by_mass = nucleus_cut(scratch, n, (double)p->top_p * total);
            if (oxi_better(by_mass, cut)) cut = by_mass;
        }
        return draw_above(s, cut, scratch, n);
    }
    const float *w = scratch->weights;
    double left = oxi_rng_uniform(&s->rng) * total;
    for (size_t i = 0; i < n; i++)
        if ((left -= w[i]) < 0) return (int32_t)i;
    size_t last = n - 1;
    while (w[last] == 0) last--; /* rounding used up the remainder */
    return (int32_t)last;
}

int32_t oxi_sampler_draw(oxi_sampler *s, const oxi_vec *vec, const oxi_row *row, oxi_sample_scratch *scratch)
{
    const oxi_sampler_params *p = &s->params;
    if (p->temperature == 0) return oxi_row_best(row);
    return p->top_k > 0 && p->top_k < p->n_vocab ? draw_from_few(s, vec, row, scratch) : draw_from_all(s, vec, row, scratch);
}
