/* The passes over whole rows of logits (vec.h), for the instruction set this translation unit is compiled for.
 *
 * Tokens must not depend on the instruction set. So nothing here is fused, and a sum has 16 partial sums, whatever the
 * width of a vector: value i goes to partial sum i mod 16. */
#include "kernels/vec/vec.h"
#include "kernels/vec/simd.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF /* for callers that compile without -ffp-contract=off */
#endif

#define SUMS 16
#define HALF (VW / 2) /* float64 values in a vector */

typedef float vn __attribute__((vector_size(VW * 2))); /* as many floats as a vector holds float64 values */
typedef double vd __attribute__((vector_size(VW * 4)));
typedef int64_t vl __attribute__((vector_size(VW * 4)));
typedef uint64_t vul __attribute__((vector_size(VW * 4)));

INLINE vd load_wide(const float *p) { vn v; memcpy(&v, p, sizeof v); return __builtin_convertvector(v, vd); }
INLINE vd splat_wide(double x) { return x - (vd){0}; }
INLINE vd pick_wide(vl mask, vd a, vd b) { return (vd)(((vl)a & mask) | ((vl)b & ~mask)); }

static float block_max(const float *x, int64_t n)
{
    vf best = splat(-INFINITY), other = best;
    int64_t i = 0;
    for (; i + 2 * VW <= n; i += 2 * VW) { /* max_ gives its second operand for NaN */
        best = max_(load(x + i), best);
        other = max_(load(x + i + VW), other);
    }
    float most = largest(max_(best, other));
    for (; i < n; i++) most = x[i] > most ? x[i] : most;
    return most;
}

static void block_maxima(const float *x, int64_t n, float *maxima)
{
    for (int64_t i = 0; i < n; i += OXI_LOGIT_BLOCK)
        *maxima++ = block_max(x + i, n - i < OXI_LOGIT_BLOCK ? n - i : OXI_LOGIT_BLOCK);
}

/* exp for x <= 0, relative error below 2e-7. x = k ln 2 + r with |r| <= ln 2 / 2. exp(r) is its Taylor polynomial of degree
 * 7, and 2^k is assembled from its bits. 0 for NaN, and where the result would be subnormal. */
INLINE vf weight(vf x)
{
    const vf lowest = splat(-87.0f), magic = splat(12582912.0f); /* adding 1.5 * 2^23 rounds to an integer */
    const vi inside = x > lowest;
    const vf clipped = pick(inside, x, lowest);
    const vf k = clipped * splat(1.44269504f) + magic - magic;
    const vf r = clipped - k * splat(0.693359375f) + k * splat(2.12194440e-4f); /* ln 2 in two parts, the first short */
    vf p = splat(1.0f / 5040);
    p = p * r + splat(1.0f / 720);
    p = p * r + splat(1.0f / 120);
    p = p * r + splat(1.0f / 24);
    p = p * r + splat(1.0f / 6);
    p = p * r + splat(0.5f);
    p = p * r + splat(1.0f);
    p = p * r + splat(1.0f);
    const vf scale = (vf)((__builtin_convertvector(k, vi) + 127) << 23);
    return pick(inside, p * scale, (vf){0});
}

static double weights(const float *x, int64_t n, float max, float inverse, float *w, float *maxima)
{
    vd lane[SUMS / HALF] = {{0}};
    int64_t i = 0;
    for (int64_t block = 0; block < n; block += OXI_LOGIT_BLOCK) { /* a block stays in the first cache */
        const int64_t end = n - block < OXI_LOGIT_BLOCK ? n : block + OXI_LOGIT_BLOCK;
        for (i = block; i + VW <= end; i += VW) store(w + i, weight((load(x + i) - max) * inverse));
        if (i < end) {
            vf rest = splat(max); /* as valid as any value in the unused lanes */
            memcpy(&rest, x + i, (size_t)(end - i) * sizeof *x);
            store_part(w + i, weight((rest - max) * inverse), end - i);
        }
        *maxima++ = block_max(w + block, end - block);
        for (i = block; i + SUMS <= end; i += SUMS)
            for (int j = 0; j < SUMS / HALF; j++) lane[j] += load_wide(w + i + j * HALF);
    }
    double sum = 0;
    for (int j = 0; j < SUMS; j++) sum += lane[j / HALF][j % HALF];
    for (; i < n; i++) sum += w[i];
    return sum;
}

/* exp for x <= 0 in float64, in the manner of `weight`; the polynomial interpolates (exp(r) - 1) / r at Chebyshev nodes. 0
 * below -700. */
INLINE vd exp_wide(vd x)
{
    const vd lowest = splat_wide(-700.0), magic = splat_wide(6755399441055744.0); /* 1.5 * 2^52 */
    const vl inside = x > lowest;
    const vd clipped = pick_wide(inside, x, lowest);
    const vd shifted = clipped * splat_wide(1.4426950408889634) + magic, k = shifted - magic;
    const vd r = clipped - k * splat_wide(6.93147180369123816490e-01) - k * splat_wide(1.90821492927058770002e-10);
    vd p = splat_wide(2.7620088445409746e-07);
    p = p * r + splat_wide(2.763265575933203e-06);
    p = p * r + splat_wide(2.4801521295954376e-05);
    p = p * r + splat_wide(0.0001984119061583585);
    p = p * r + splat_wide(0.0013888888917213717);
    p = p * r + splat_wide(0.008333333367332009);
    p = p * r + splat_wide(0.04166666666662413);
    p = p * r + splat_wide(0.16666666666615607);
    p = p * r + splat_wide(0.5000000000000001);
    p = p * r + splat_wide(1.0000000000000013);
    p = p * r + splat_wide(1.0);
    const vd scale = (vd)(((vul)shifted + 1023) << 52); /* the low bits of `shifted` are k */
    return pick_wide(inside, p * scale, (vd){0});
}

static double exp_sum(const float *x, int64_t n, float max)
{
    const vd most = splat_wide(max);
    double total = 0;
    for (int64_t block = 0; block < n; block += OXI_LOGIT_BLOCK) {
        const int64_t end = n - block < OXI_LOGIT_BLOCK ? n : block + OXI_LOGIT_BLOCK;
        vd lane[SUMS / HALF] = {{0}};
        int64_t i = block;
        for (; i + SUMS <= end; i += SUMS)
            for (int j = 0; j < SUMS / HALF; j++) lane[j] += exp_wide(load_wide(x + i + j * HALF) - most);
        double sum = 0;
        for (int j = 0; j < SUMS; j++) sum += lane[j / HALF][j % HALF];
        for (; i < end; i++) sum += exp_wide(splat_wide((double)x[i]) - most)[0];
        total += sum;
    }
    return total;
}

static double weighted_sum(const float *x, const float *w, int64_t n, float max)
{
    const vd most = splat_wide(max), none = {0};
    vd lane[SUMS / HALF] = {{0}};
    int64_t i = 0;
    for (; i + SUMS <= n; i += SUMS)
        for (int j = 0; j < SUMS / HALF; j++) {
            const vd weight = load_wide(w + i + j * HALF);
            lane[j] += pick_wide(weight > none, weight * (load_wide(x + i + j * HALF) - most), none);
        }
    double sum = 0;
    for (int j = 0; j < SUMS; j++) sum += lane[j / HALF][j % HALF];
    for (; i < n; i++)
        if (w[i] > 0) sum += (double)w[i] * ((double)x[i] - max);
    return sum;
}

static void nearness(const float *x, const float *w, int64_t n, float max, float inverse, double mean, float *keys)
{
    const vd most = splat_wide(max), scale = splat_wide(inverse), middle = splat_wide(mean), none = {0}, one = splat_wide(1);
    int64_t i = 0;
    for (; i + HALF <= n; i += HALF) {
        const vd apart = (load_wide(x + i) - most) * scale - middle;
        const vd distance = (vd)((vl)apart & INT64_MAX);
        const vn key = __builtin_convertvector(pick_wide(load_wide(w + i) > none, one / (one + distance), none), vn);
        memcpy(keys + i, &key, sizeof key);
    }
    for (; i < n; i++) {
        const double apart = ((double)x[i] - max) * inverse - mean;
        keys[i] = w[i] > 0 ? (float)(1 / (1 + (apart < 0 ? -apart : apart))) : 0.0f;
    }
}

static void moments(const float *x, int64_t n, float max, double *count, double *sum, double *squares)
{
    const vd most = splat_wide(max), lowest = splat_wide(-INFINITY), none = {0}, one = splat_wide(1);
    vd counts[SUMS / HALF] = {{0}}, sums[SUMS / HALF] = {{0}}, squared[SUMS / HALF] = {{0}};
    int64_t i = 0;
    for (; i + SUMS <= n; i += SUMS)
        for (int j = 0; j < SUMS / HALF; j++) {
            const vd value = load_wide(x + i + j * HALF);
            const vl inside = value > lowest;
            const vd apart = pick_wide(inside, value - most, none);
            counts[j] += pick_wide(inside, one, none);
            sums[j] += apart;
            squared[j] += apart * apart;
        }
    *count = *sum = *squares = 0;
    for (int j = 0; j < SUMS; j++) {
        *count += counts[j / HALF][j % HALF];
        *sum += sums[j / HALF][j % HALF];
        *squares += squared[j / HALF][j % HALF];
    }
    for (; i < n; i++) {
        if (!(x[i] > -INFINITY)) continue;
        const double apart = (double)x[i] - max;
        *count += 1;
        *sum += apart;
        *squares += apart * apart;
    }
}

#undef SUMS
#undef HALF
