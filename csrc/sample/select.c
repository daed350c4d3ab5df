#include "sample/select.h"

#include <math.h>
#include <string.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF /* one rounding per operation, so every platform chooses alike; gcc's -std=c11 does so */
#endif

enum { LANES = 16 };

float oxi_max(const float *x, size_t n)
{
    float lane[LANES];
    for (size_t j = 0; j < LANES; j++) lane[j] = x[0];
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    float best = lane[0];
    for (size_t j = 1; j < LANES; j++) best = lane[j] > best ? lane[j] : best;
    for (; i < n; i++) best = x[i] > best ? x[i] : best;
    return best;
}

/* Move c[at] down to its place in a heap whose root is the worst (sign 1) or the best (sign -1) candidate. */
static void sift(oxi_candidate *c, size_t n, size_t at, int sign)
{
    const oxi_candidate moving = c[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n) break;
        if (child + 1 < n && (sign > 0 ? oxi_better(c[child], c[child + 1]) : oxi_better(c[child + 1], c[child]))) child++;
        if (sign > 0 ? !oxi_better(moving, c[child]) : !oxi_better(c[child], moving)) break;
        c[at] = c[child];
        at = child;
    }
    c[at] = moving;
}

void oxi_top(const float *x, size_t n, oxi_candidate *out, size_t k)
{
    for (size_t i = 0; i < k; i++) out[i] = (oxi_candidate){x[i], (int32_t)i};
    for (size_t i = k / 2; i-- > 0;) sift(out, k, i, 1);
    /* The root is the worst of the best so far, so nearly every later value fails this one comparison. An equal value
     * has a higher id than those in the heap and stays out. */
    for (size_t i = k; i < n; i++)
        if (x[i] > out[0].value) {
            out[0] = (oxi_candidate){x[i], (int32_t)i};
            sift(out, k, 0, 1);
        }
    for (size_t m = k; m-- > 1;) {
        const oxi_candidate worst = out[0];
        out[0] = out[m];
        sift(out, m, 0, 1);
        out[m] = worst;
    }
}

void oxi_heapify_best(oxi_candidate *c, size_t n)
{
    for (size_t i = n / 2; i-- > 0;) sift(c, n, i, -1);
}

void oxi_pop_best(oxi_candidate *c, size_t n)
{
    c[0] = c[n - 1];
    if (n > 1) sift(c, n - 1, 0, -1);
}

/* exp for x <= 0, relative error below 2e-7, from additions, multiplications and integer operations alone: libraries
 * differ in the last bit, and this must not. x = k ln 2 + r with |r| <= ln 2 / 2. exp(r) is its Taylor polynomial of
 * degree 7, and 2^k is assembled from its bits. */
static inline float exp_negative(float x)
{
    const float lowest = -87.0f; /* below it the result would be subnormal: 0 instead */
    const float clipped = x > lowest ? x : lowest;
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    const float k = clipped * 1.44269504f + magic - magic;
    const float r = clipped - k * 0.693359375f + k * 2.12194440e-4f; /* ln 2 in two parts, the first short */
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const uint32_t bits = (uint32_t)((int32_t)k + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return x > lowest ? p * scale : 0.0f;
}

double oxi_weights(const float *x, size_t n, float max, float temperature, float *w)
{
    const float inverse = 1.0f / temperature;
    if (max == INFINITY || inverse == INFINITY) { /* differences would be NaN: the maximum has all the weight */
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += w[i] = x[i] == max ? 1.0f : 0.0f;
        return sum;
    }
    for (size_t i = 0; i < n; i++) w[i] = exp_negative((x[i] - max) * inverse);
    double lane[LANES] = {0}; /* a fixed order of summation, whatever the vector width */
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) lane[j] += w[i + j];
    double sum = 0;
    for (size_t j = 0; j < LANES; j++) sum += lane[j];
    for (; i < n; i++) sum += w[i];
    return sum;
}
