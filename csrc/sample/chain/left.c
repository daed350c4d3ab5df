#include "sample/chain/left.h"

#include <math.h>
#include <string.h>

#include "sample/portable.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

oxi_left oxi_left_of(const oxi_vec *vec, const oxi_row *row, oxi_sample_scratch *scratch)
{
    return (oxi_left){.vec = vec, .scratch = scratch, .row = *row, .temperature = 1};
}

void oxi_left_weigh(oxi_left *l)
{
    if (l->weighed) return;
    l->weighed = true;
    const float *x = l->row.x, max = l->row.max, inverse = 1.0f / l->temperature;
    float *w = l->scratch->weights, *maxima = l->scratch->weight_maxima;
    const size_t n = l->row.n;
    if (max < INFINITY && inverse < INFINITY) {
        l->total = l->vec->weights(x, (int64_t)n, max, inverse, w, maxima);
        return;
    }
    l->total = 0; /* differences would be NaN: the maximum has all the weight */
    for (size_t i = 0; i < n; i++) l->total += w[i] = x[i] == max ? 1.0f : 0.0f;
    l->vec->block_maxima(w, (int64_t)n, maxima);
}

/* With weights w = exp(d), d = (x - max) / temperature, the entropy is ln(sum w) - sum(w d) / sum w. */
double oxi_left_entropy(oxi_left *l)
{
    oxi_left_weigh(l);
    const double of_total = oxi_ln(l->total);
    if (!(l->row.max < INFINITY && 1.0f / l->temperature < INFINITY)) return of_total;
    const double sum = l->vec->weighted_sum(l->row.x, l->scratch->weights, (int64_t)l->row.n, l->row.max);
    return of_total - sum / l->temperature / l->total;
}

/* From here on, scratch holds `n` tokens, the first of which may still be read by the caller's loop. */
static void shrink(oxi_left *l, size_t n, bool with_weights)
{
    oxi_sample_scratch *s = l->scratch;
    l->ids = s->ids;
    l->vec->block_maxima(s->x, (int64_t)n, s->x_maxima);
    l->row = oxi_row_of(s->x, n, s->x_maxima);
    l->weighed = with_weights;
    if (!with_weights) return;
    l->vec->block_maxima(s->weights, (int64_t)n, s->weight_maxima);
    l->total = 0;
    for (size_t i = 0; i < n; i++) l->total += s->weights[i];
}

/* Keep the positions with this condition, in the blocks that may have some. Without a branch: which tokens belong is hard
 * to foresee. A token moves to a place that was read before. */
#define KEEP(l, block_condition, condition, with_weights)                                                              \
    do {                                                                                                               \
        const oxi_sample_scratch *s = (l)->scratch;                                                                    \
        const float *x = (l)->row.x;                                                                                   \
        const int32_t *ids = (l)->ids;                                                                                 \
        const size_t size = (l)->row.n;                                                                                \
        float *w = s->weights;                                                                                         \
        size_t n = 0;                                                                                                  \
        for (size_t b = 0; b < oxi_blocks(size); b++) {                                                                \
            if (!(block_condition)) continue;                                                                          \
            const size_t end = oxi_block_end(size, b);                                                                 \
            for (size_t i = b * OXI_LOGIT_BLOCK; i < end; i++) {                                                       \
                const bool kept = condition;                                                                           \
                const float logit = x[i];                                                                              \
                const int32_t id = ids ? ids[i] : (int32_t)i;                                                          \
                if (with_weights) w[n] = w[i];                                                                         \
                s->x[n] = logit;                                                                                       \
                s->ids[n] = id;                                                                                        \
                n += kept;                                                                                             \
            }                                                                                                          \
        }                                                                                                              \
        shrink(l, n, with_weights);                                                                                    \
    } while (0)

void oxi_left_keep_weights(oxi_left *l, oxi_candidate cut)
{
    oxi_left_weigh(l);
    const float *maxima = l->scratch->weight_maxima;
    KEEP(l, maxima[b] != 0 && maxima[b] >= cut.value,
         ((w[i] > cut.value) | ((w[i] == cut.value) & ((int32_t)i <= cut.id))) & (w[i] > 0), true);
}

void oxi_left_keep_logits(oxi_left *l, float least)
{
    const float *maxima = l->row.maxima;
    KEEP(l, maxima[b] >= least, x[i] >= least, false);
}

void oxi_left_keep_keys(oxi_left *l, float least)
{
    const float *keys = l->scratch->keys, *maxima = l->scratch->key_maxima;
    KEEP(l, maxima[b] >= least, (keys[i] >= least) & (w[i] > 0), false);
}

void oxi_left_drop_better(oxi_left *l, oxi_candidate than)
{
    const float *maxima = l->scratch->weight_maxima;
    KEEP(l, maxima[b] != 0, ((w[i] < than.value) | ((w[i] == than.value) & ((int32_t)i >= than.id))) & (w[i] > 0), false);
}

void oxi_left_keep_top(oxi_left *l, size_t k)
{
    oxi_sample_scratch *s = l->scratch;
    oxi_candidate *c = s->candidates;
    oxi_row_top(&l->row, c, k);
    for (size_t i = 0; i < k; i++) c[i].id = oxi_left_id(l, (size_t)c[i].id);
    for (size_t i = 0; i < k; i++) {
        s->x[i] = c[i].value;
        s->ids[i] = c[i].id;
    }
    shrink(l, k, false);
    l->sorted = true;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Keys are sorted into buckets by their leading bits, an eighth of an octave each, so that only the bucket with the cut
 * needs an order. If the keys are the weights, those of a bucket are multiples of one power of two, and less than 2^25
 * times it: their sum is exact in float64. The partial sums keep the additions of neighbouring tokens from waiting for
 * one another. */
enum { SHIFT = 20, N_BUCKETS = (0x3f800000 >> SHIFT) + 1, PARTS = 4 }; /* up to the key 1.0f */

oxi_candidate oxi_left_mass_cut(const oxi_left *l, const float *keys, const float *key_maxima, double wanted)
{
    double sums[N_BUCKETS][PARTS];
    memset(sums, 0, sizeof sums);
    const float *w = l->scratch->weights;
    const size_t size = l->row.n;
    size_t i = 0;
    for (; i + PARTS <= size; i += PARTS)
        for (size_t j = 0; j < PARTS; j++) sums[bits_of(keys[i + j]) >> SHIFT][j] += w[i + j];
    for (; i < size; i++) sums[bits_of(keys[i]) >> SHIFT][0] += w[i];
    size_t bucket = N_BUCKETS - 1;
    double sum = 0;
    for (; bucket > 0; bucket--) {
        const double more = (sums[bucket][0] + sums[bucket][1]) + (sums[bucket][2] + sums[bucket][3]);
        if (sum + more >= wanted) break;
        sum += more;
    }
    oxi_candidate *c = l->scratch->candidates;
    size_t n = 0;
    for (size_t b = 0; b < oxi_blocks(size); b++) {
        if (bits_of(key_maxima[b]) >> SHIFT < bucket) continue;
        const size_t end = oxi_block_end(size, b);
        for (i = b * OXI_LOGIT_BLOCK; i < end; i++) { /* without a branch: which tokens belong is hard to foresee */
            c[n] = (oxi_candidate){keys[i], (int32_t)i};
            n += bits_of(keys[i]) >> SHIFT == bucket;
        }
    }
    oxi_candidate cut = {0, INT32_MAX};
    oxi_heapify_best(c, n);
    for (; n > 0; n--) {
        cut = c[0];
        if ((sum += w[cut.id]) >= wanted) break;
        oxi_pop_best(c, n);
    }
    return cut;
}

size_t oxi_left_draw(oxi_left *l, double uniform)
{
    oxi_left_weigh(l);
    const float *w = l->scratch->weights;
    const size_t n = l->row.n;
    double total = l->total;
    if (l->sorted) {
        total = 0;
        for (size_t i = 0; i < n; i++) total += w[i];
    }
    double rest = uniform * total;
    for (size_t i = 0; i < n; i++)
        if ((rest -= w[i]) < 0) return i;
    if (l->sorted) return 0; /* rounding used up the remainder */
    size_t last = n - 1;
    while (w[last] == 0) last--;
    return last;
}
