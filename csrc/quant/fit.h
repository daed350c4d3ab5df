/* Weighted least squares for one group of weights: which scale, or scale and minimum, loses least.
 *
 * For fixed codes the best scale has a closed form; for a fixed scale the best codes are the nearest ones. Neither alone
 * is the optimum, so each fit tries a grid of scales around the one that just reaches the largest weight, takes the
 * best, and then alternates the two steps until nothing changes.
 *
 * All loops run over whole lanes (n is a multiple of 8) and keep one sum per lane: they vectorise without reordering
 * anything, so that every build gives the same bytes.
 */
#ifndef OXI_FIT_H
#define OXI_FIT_H

#include "encode.h"
#include "half.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define OXI_INLINE static inline __attribute__((always_inline))

enum { OXI_LANES = 8, OXI_REFINEMENTS = 6 };

/* Below this a group counts as zero: no half can hold its scale, and squares must not underflow. */
#define OXI_FIT_LEAST 1e-14f

/* A scale as files hold it. What is too small for a half becomes the smallest one, which still beats zero: the whole
 * multiples of it that groups choose, or the codes, are small then. */
static inline uint16_t oxi_scale_half(float v)
{
    const float held = v < -OXI_ENCODE_MOST ? -OXI_ENCODE_MOST : v > OXI_ENCODE_MOST ? OXI_ENCODE_MOST : v;
    const uint16_t half = oxi_float_half(held);
    return (half & 0x7fff) || v == 0.0f ? half : half | 1;
}

/* Which levels a format has: whole numbers from low to high, or those of a table. */
typedef struct oxi_levels {
    float low, high;
    const struct oxi_nearest *table; /* NULL: whole numbers */
} oxi_levels;

/* The nearest level and its code for t in [-128, 128), by the cell of half a unit it lies in: the midpoints between a
 * format's levels are multiples of one half. */
typedef struct oxi_nearest {
    float level[512];
    uint8_t code[512];
} oxi_nearest;

OXI_INLINE float oxi_clamp(float v, float low, float high)
{
    v = v < low ? low : v;
    return v > high ? high : v;
}

/* To the nearest whole number, ties to even, for |v| below 2^22. */
OXI_INLINE float oxi_round(float v) { return (v + 12582912.0f) - 12582912.0f; }

OXI_INLINE float oxi_level(oxi_levels levels, float t)
{
    t = oxi_clamp(t, levels.low, levels.high);
    return levels.table ? levels.table->level[(int)((t + 128.0f) * 2.0f)] : oxi_round(t);
}

OXI_INLINE float oxi_sum_lanes(const float a[OXI_LANES])
{
    return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

/* What the closed form needs for levels q of x / scale. */
OXI_INLINE void oxi_scale_sums(const float *x, const float *w, int n, oxi_levels levels, float inverse, float *xq,
                               float *qq)
{
    float a[OXI_LANES] = {0}, b[OXI_LANES] = {0};
    for (int i = 0; i < n; i += OXI_LANES)
        for (int l = 0; l < OXI_LANES; l++) {
            const float q = oxi_level(levels, x[i + l] * inverse), wq = w[i + l] * q;
            a[l] += wq * x[i + l];
            b[l] += wq * q;
        }
    *xq = oxi_sum_lanes(a);
    *qq = oxi_sum_lanes(b);
}

/* The scale, of either sign, for x[i] ~ scale * level; 0 for a group that is zero. `spread`: how far the grid goes beyond
 * the scale that just reaches the largest weight, in levels; `steps` of them on either side and for either sign. */
OXI_INLINE float oxi_fit_scale(const float *x, const float *w, int n, oxi_levels levels, float spread, int steps)
{
    float extreme = 0.0f;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(extreme)) extreme = x[i];
    if (fabsf(extreme) < OXI_FIT_LEAST) return 0.0f;
    float best = 0.0f, gain = -1.0f, xq, qq;
    for (int side = 0; side < 2; side++) {
        const float end = side ? levels.high : levels.low;
        if (end == 0.0f) continue;
        for (int k = -steps; k <= steps; k++) {
            const float inverse = (end + copysignf(spread, end) * (float)k / (float)steps) / extreme;
            oxi_scale_sums(x, w, n, levels, inverse, &xq, &qq);
            if (qq > 0.0f && xq * xq > gain * qq) {
                gain = xq * xq / qq;
                best = xq / qq;
            }
        }
    }
    for (int k = 0; k < OXI_REFINEMENTS && best != 0.0f; k++) {
        oxi_scale_sums(x, w, n, levels, 1.0f / best, &xq, &qq);
        if (!(qq > 0.0f && xq * xq > gain * qq)) break;
        gain = xq * xq / qq;
        best = xq / qq;
    }
    return best;
}

/* The loss with a given scale. */
OXI_INLINE float oxi_scale_loss(const float *x, const float *w, int n, oxi_levels levels, float scale)
{
    const float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    float a[OXI_LANES] = {0};
    for (int i = 0; i < n; i += OXI_LANES)
        for (int l = 0; l < OXI_LANES; l++) {
            const float e = x[i + l] - scale * oxi_level(levels, x[i + l] * inverse);
            a[l] += w[i + l] * e * e;
        }
    return oxi_sum_lanes(a);
}

/* Scale and minimum of x[i] ~ scale * q - minimum with q from 0 to `top`. */
typedef struct oxi_line {
    float scale, minimum;
} oxi_line;

/* Sums that do not depend on the codes. */
typedef struct oxi_moments {
    float w, x, xx; /* sums of w, w x, w x^2 */
} oxi_moments;

OXI_INLINE oxi_moments oxi_moments_of(const float *x, const float *w, int n)
{
    float a[OXI_LANES] = {0}, b[OXI_LANES] = {0}, c[OXI_LANES] = {0};
    for (int i = 0; i < n; i += OXI_LANES)
        for (int l = 0; l < OXI_LANES; l++) {
            const float wx = w[i + l] * x[i + l];
            a[l] += w[i + l];
            b[l] += wx;
            c[l] += wx * x[i + l];
        }
    return (oxi_moments){oxi_sum_lanes(a), oxi_sum_lanes(b), oxi_sum_lanes(c)};
}

/* Rounds x to the line's codes, then solves for the line that suits these codes best; gives its loss. With `positive`
 * the minimum may not be below zero (what is subtracted is never negative in the super-block formats). */
OXI_INLINE float oxi_line_step(const float *x, const float *w, int n, float top, bool positive, const oxi_moments *m,
                               float inverse, float minimum, oxi_line *out)
{
    float a[OXI_LANES] = {0}, b[OXI_LANES] = {0}, c[OXI_LANES] = {0};
    for (int i = 0; i < n; i += OXI_LANES)
        for (int l = 0; l < OXI_LANES; l++) {
            const float q = oxi_round(oxi_clamp((x[i + l] + minimum) * inverse, 0.0f, top)), wq = w[i + l] * q;
            a[l] += wq;
            b[l] += wq * q;
            c[l] += wq * x[i + l];
        }
    const double sw = m->w, sx = m->x, sq = oxi_sum_lanes(a), sqq = oxi_sum_lanes(b), sxq = oxi_sum_lanes(c);
    const double det = sw * sqq - sq * sq;
    double scale = 0.0, offset;
    if (det > 1e-9 * sw * sqq) {
        scale = (sw * sxq - sx * sq) / det;
        offset = (scale * sq - sx) / sw;
    } else {
        offset = -sx / sw;
    }
    if (positive && offset < 0.0) {
        offset = 0.0;
        scale = sqq > 0.0 ? sxq / sqq : 0.0;
    }
    if (scale < 0.0) scale = 0.0;
    *out = (oxi_line){(float)scale, (float)offset};
    /* sum w (x - s q + o)^2, multiplied out */
    return (float)(m->xx + scale * scale * sqq + offset * offset * sw - 2.0 * scale * sxq + 2.0 * offset * sx -
                   2.0 * scale * offset * sq);
}

OXI_INLINE oxi_line oxi_fit_line(const float *x, const float *w, int n, float top, bool positive, float least, float most,
                                 int steps)
{
    float low = positive ? 0.0f : x[0], high = x[0];
    for (int i = 0; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    if (high - low < OXI_FIT_LEAST) return (oxi_line){0.0f, -low};
    const oxi_moments moments = oxi_moments_of(x, w, n);
    oxi_line best = {0.0f, 0.0f}, line;
    float loss = INFINITY;
    for (int k = 0; k < steps; k++) {
        const float inverse = (top + least + (most - least) * (float)k / (float)(steps - 1)) / (high - low);
        const float now = oxi_line_step(x, w, n, top, positive, &moments, inverse, -low, &line);
        if (now < loss) {
            loss = now;
            best = line;
        }
    }
    for (int k = 0; k < OXI_REFINEMENTS && best.scale > 0.0f; k++) {
        const float now = oxi_line_step(x, w, n, top, positive, &moments, 1.0f / best.scale, best.minimum, &line);
        if (!(now < loss)) break;
        loss = now;
        best = line;
    }
    return best;
}

/* The loss of a given line. */
OXI_INLINE float oxi_line_loss(const float *x, const float *w, int n, float top, float scale, float minimum)
{
    const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
    float a[OXI_LANES] = {0};
    for (int i = 0; i < n; i += OXI_LANES)
        for (int l = 0; l < OXI_LANES; l++) {
            const float q = oxi_round(oxi_clamp((x[i + l] + minimum) * inverse, 0.0f, top));
            const float e = x[i + l] - (scale * q - minimum);
            a[l] += w[i + l] * e * e;
        }
    return oxi_sum_lanes(a);
}

#endif
