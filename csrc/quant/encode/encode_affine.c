/* Encoders of the super-block formats with minima: Q2_K, Q4_K, Q5_K. The layouts are drawn in k_quants.c and k_small.c.
 *
 *     x ~ (d * scale[g]) * code - (dmin * minimum[g])
 *
 * First each group is fitted with its own line. The lines' scales and minima are then rounded to integer multiples of d and
 * dmin. From there two steps alternate: with d and dmin fixed, each group tries the multiples next to its own; with all
 * multiples and codes fixed, d and dmin have a closed form.
 */
#include "quant/encode/encode.h"
#include "quant/encode/fit.h"
#include "quant/half.h"

enum { MOST_GROUPS = 16, TURNS = 2 };

typedef struct block {
    uint16_t d, dmin;
    uint8_t scale[MOST_GROUPS], minimum[MOST_GROUPS], code[256];
} block;

static uint16_t half_of(float v) { return oxi_scale_half(v > 0.0f ? v : 0.0f); }

/* The unit for rounding non-negative values to integer multiples of up to `most`. */
OXI_INLINE float unit_of(const float *value, const float *weight, int groups, float most)
{
    const oxi_levels levels = {0.0f, most, NULL};
    const float unit = oxi_fit_scale(value, weight, groups, levels, most / 8.0f, 8);
    return unit > 0.0f ? unit : 0.0f;
}

OXI_INLINE int multiple(float v, float inverse, int most)
{
    return (int)oxi_round(oxi_clamp(v * inverse, 0.0f, (float)most));
}

/* Find the multiples next to (s, m) with the least loss in one group; returns the loss. */
OXI_INLINE float settle(const float *x, const float *w, int size, float top, int most, float d, float dmin, uint8_t *s,
                        uint8_t *m)
{
    const int s0 = *s, m0 = *m;
    float loss = INFINITY;
    for (int a = s0 > 0 ? s0 - 1 : 0; a <= s0 + 1 && a <= most; a++)
        for (int b = m0 > 0 ? m0 - 1 : 0; b <= m0 + 1 && b <= most; b++) {
            const float now = oxi_line_loss(x, w, size, top, d * (float)a, dmin * (float)b);
            if (now < loss) {
                loss = now;
                *s = (uint8_t)a;
                *m = (uint8_t)b;
            }
        }
    return loss;
}

/* Codes for the block's scales, and the best d and dmin for these codes. */
OXI_INLINE void solve(const float *x, const float *w, int groups, int size, float top, block *b, float *d, float *dmin)
{
    const float df = oxi_half_float(b->d), mf = oxi_half_float(b->dmin);
    double pp = 0.0, pm = 0.0, mm = 0.0, px = 0.0, mx = 0.0;
    for (int g = 0; g < groups; g++) {
        const float s = (float)b->scale[g], m = (float)b->minimum[g], offset = mf * m;
        const float inverse = df * s > 0.0f ? 1.0f / (df * s) : 0.0f;
        float sums[5][OXI_LANES] = {{0}};
        for (int i = g * size; i < (g + 1) * size; i += OXI_LANES)
            for (int l = 0; l < OXI_LANES; l++) {
                const float q = oxi_round(oxi_clamp((x[i + l] + offset) * inverse, 0.0f, top)), wi = w[i + l];
                b->code[i + l] = (uint8_t)(int)q;
                sums[0][l] += wi * q * q;
                sums[1][l] += wi * q;
                sums[2][l] += wi;
                sums[3][l] += wi * q * x[i + l];
                sums[4][l] += wi * x[i + l];
            }
        pp += (double)(s * s) * oxi_sum_lanes(sums[0]);
        pm += (double)(s * m) * oxi_sum_lanes(sums[1]);
        mm += (double)(m * m) * oxi_sum_lanes(sums[2]);
        px += (double)s * oxi_sum_lanes(sums[3]);
        mx += (double)m * oxi_sum_lanes(sums[4]);
    }
    /* minimise sum w (x - d p + dmin m)^2 */
    const double det = pp * mm - pm * pm;
    if (det > 1e-9 * pp * mm) {
        *d = (float)((px * mm - mx * pm) / det);
        *dmin = (float)((px * pm - mx * pp) / det);
    } else {
        *d = pp > 0.0 ? (float)(px / pp) : 0.0f;
        *dmin = pp > 0.0 || mm <= 0.0 ? 0.0f : (float)(-mx / mm);
    }
}

OXI_INLINE void fit(const float *x, const float *w, int groups, float top, int most, float least, float beyond, int steps,
                    block *best)
{
    const int size = 256 / groups;
    float scale[MOST_GROUPS], minimum[MOST_GROUPS], scale_weight[MOST_GROUPS], minimum_weight[MOST_GROUPS];
    for (int g = 0; g < groups; g++) {
        const float *gx = x + g * size, *gw = w + g * size;
        const oxi_line line = oxi_fit_line(gx, gw, size, top, true, least, beyond, steps);
        const float inverse = line.scale > 0.0f ? 1.0f / line.scale : 0.0f;
        float qq = 0.0f, ww = 0.0f;
        for (int i = 0; i < size; i++) {
            const float q = oxi_round(oxi_clamp((gx[i] + line.minimum) * inverse, 0.0f, top));
            qq += gw[i] * q * q;
            ww += gw[i];
        }
        scale[g] = line.scale;
        minimum[g] = line.minimum;
        scale_weight[g] = qq + 1e-9f;
        minimum_weight[g] = ww + 1e-9f;
    }
    float d = unit_of(scale, scale_weight, groups, (float)most);
    float dmin = unit_of(minimum, minimum_weight, groups, (float)most);
    block now = {0};
    *best = now;
    float loss = INFINITY;
    for (int turn = 0; turn <= TURNS; turn++) {
        now.d = half_of(d);
        now.dmin = half_of(dmin);
        const float df = oxi_half_float(now.d), mf = oxi_half_float(now.dmin);
        float sum = 0.0f;
        for (int g = 0; g < groups; g++) {
            if (turn == 0) {
                now.scale[g] = (uint8_t)multiple(scale[g], df > 0.0f ? 1.0f / df : 0.0f, most);
                now.minimum[g] = (uint8_t)multiple(minimum[g], mf > 0.0f ? 1.0f / mf : 0.0f, most);
            }
            sum += settle(x + g * size, w + g * size, size, top, most, df, mf, &now.scale[g], &now.minimum[g]);
        }
        if (!(sum < loss)) break;
        loss = sum;
        solve(x, w, groups, size, top, &now, &d, &dmin);
        *best = now;
    }
}

/* Eight scales and minima of six bits in twelve bytes. */
static void put_head(const block *b, uint8_t *head)
{
    memcpy(head, &b->d, 2);
    memcpy(head + 2, &b->dmin, 2);
    uint8_t *s = head + 4;
    for (int i = 0; i < 4; i++) {
        s[i] = (uint8_t)(b->scale[i] | (b->scale[4 + i] >> 4) << 6);
        s[4 + i] = (uint8_t)(b->minimum[i] | (b->minimum[4 + i] >> 4) << 6);
        s[8 + i] = (uint8_t)((b->scale[4 + i] & 15) | (b->minimum[4 + i] & 15) << 4);
    }
}

/* Each pair of groups shares 32 bytes: the first group is in the low nibbles. */
static void put_nibbles(const uint8_t *code, uint8_t *qs)
{
    for (int pair = 0; pair < 4; pair++)
        for (int i = 0; i < 32; i++)
            qs[32 * pair + i] = (uint8_t)((code[64 * pair + i] & 15) | (code[64 * pair + 32 + i] & 15) << 4);
}

OXI_ENCODER void oxi_encode_q4_k(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    block b;
    (void)prepared;
    fit(x, w, 8, 15.0f, 63, -1.0f, 2.5f, 16, &b);
    put_head(&b, dst);
    put_nibbles(b.code, dst + 16);
}

OXI_ENCODER void oxi_encode_q5_k(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    block b;
    uint8_t *qh = dst + 16;
    (void)prepared;
    fit(x, w, 8, 31.0f, 63, -1.0f, 2.5f, 16, &b);
    put_head(&b, dst);
    memset(qh, 0, 32);
    for (int i = 0; i < 256; i++) qh[i % 32] |= (uint8_t)((b.code[i] >> 4) << i / 32);
    put_nibbles(b.code, qh + 32);
}

OXI_ENCODER void oxi_encode_q2_k(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    block b;
    (void)prepared;
    fit(x, w, 16, 3.0f, 15, -0.75f, 1.25f, 16, &b);
    memset(dst + 16, 0, 64);
    for (int g = 0; g < 16; g++) dst[g] = (uint8_t)(b.scale[g] | b.minimum[g] << 4);
    for (int i = 0; i < 256; i++) dst[16 + i / 128 * 32 + i % 32] |= (uint8_t)(b.code[i] << 2 * (i % 128 / 32));
    memcpy(dst + 80, &b.d, 2);
    memcpy(dst + 82, &b.dmin, 2);
}
