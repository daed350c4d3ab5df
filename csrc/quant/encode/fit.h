/* Weighted least squares for one group of weights: find the scale, or scale and minimum, with the least loss.
 *
 * For fixed codes the best scale has a closed form; for a fixed scale the best codes are the nearest ones. Neither alone is
 * the optimum. So each fit tries a grid of scales around the one that just reaches the largest weight, takes the best, and
 * then alternates the two steps until nothing changes. Grids are wide, up to a sixth of the levels: where columns differ in
 * importance it pays to clip a large weight, and finer steps find little that alternating does not.
 *
 * All loops run over whole lanes (n is a multiple of 8, at most OXI_FIT_MOST) and keep one sum per lane, so that every
 * build gives the same bytes. Separate loops find the levels; compilers vectorise those. Sums are written as vectors,
 * because compilers turn eight sums in an array into scalar code.
 */
#ifndef OXI_FIT_H
#define OXI_FIT_H

#include "quant/encode/encode.h"
#include "quant/half.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define OXI_INLINE static inline __attribute__((always_inline))

enum { OXI_LANES = 8, OXI_REFINEMENTS = 6, OXI_FIT_MOST = 256, OXI_FIT_STEPS = 12 };

/* One sum per lane. Vectors are never passed or returned: the calling convention depends on the instruction set. */
typedef float oxi_lanes __attribute__((vector_size(4 * OXI_LANES)));
typedef float oxi_half_lanes __attribute__((vector_size(2 * OXI_LANES)));

/* A group below this counts as zero: no half can hold its scale, and squares must not underflow. */
#define OXI_FIT_LEAST 1e-14f

/* A scale as files hold it. A scale too small for a half becomes the smallest half. That still beats zero: the groups'
 * integer multiples of it, or the codes, are then small. */
static inline uint16_t oxi_scale_half(float v)
{
    const float held = v < -OXI_ENCODE_MOST ? -OXI_ENCODE_MOST : v > OXI_ENCODE_MOST ? OXI_ENCODE_MOST : v;
    const uint16_t half = oxi_float_half(held);
    return (half & 0x7fff) || v == 0.0f ? half : half | 1;
}

/* The levels of a format: integers from low to high, or those of a table. */
typedef struct oxi_levels {
    float low, high;
    const struct oxi_nearest *table; /* NULL: integers */
} oxi_levels;

/* The nearest level and its code for t in [-128, 128), indexed by t's cell of half a unit: the midpoints between a
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

/* Round to the nearest integer, ties to even, for |v| below 2^22. */
OXI_INLINE float oxi_round(float v) { return (v + 12582912.0f) - 12582912.0f; }

OXI_INLINE float oxi_level(oxi_levels levels, float t)
{
    t = oxi_clamp(t, levels.low, levels.high);
    return levels.table ? levels.table->level[(int)((t + 128.0f) * 2.0f)] : oxi_round(t);
}

/* Hides a constant from the compiler, which would otherwise make branches of a clamp's cases. */
#define OXI_OPAQUE(v) __asm__("" : "+m"(v))

/* The levels nearest to x[i] * inverse. */
OXI_INLINE void oxi_nearest_levels(const float *x, int n, oxi_levels levels, float inverse, float *q)
{
    OXI_OPAQUE(levels.low);
    OXI_OPAQUE(levels.high);
    if (levels.table)
        for (int i = 0; i < n; i++) q[i] = oxi_level(levels, x[i] * inverse);
    else
        for (int i = 0; i < n; i++) q[i] = oxi_round(oxi_clamp(x[i] * inverse, levels.low, levels.high));
}

#define OXI_LOAD(lanes, from) memcpy(&(lanes), (from), sizeof(oxi_lanes))

OXI_INLINE float oxi_sum_lanes(const float a[OXI_LANES])
{
    return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

OXI_INLINE float oxi_sum_vector(const oxi_lanes *lanes)
{
    oxi_half_lanes low, high;
    memcpy(&low, lanes, sizeof low);
    memcpy(&high, (const char *)lanes + sizeof low, sizeof high);
    low += high;
    return (low[0] + low[2]) + (low[1] + low[3]);
}

/* The sums that the closed form needs for levels q of x / scale. */
OXI_INLINE void oxi_scale_sums(const float *x, const float *w, int n, oxi_levels levels, float inverse, float *xq,
                               float *qq)
{
    float levels_of_x[OXI_FIT_MOST];
    oxi_lanes a = {0}, b = {0}, xs, ws, q;
    oxi_nearest_levels(x, n, levels, inverse, levels_of_x);
    for (int i = 0; i < n; i += OXI_LANES) {
        OXI_LOAD(xs, x + i);
        OXI_LOAD(ws, w + i);
        OXI_LOAD(q, levels_of_x + i);
        const oxi_lanes wq = ws * q;
        a += wq * xs;
        b += wq * q;
    }
    *xq = oxi_sum_vector(&a);
    *qq = oxi_sum_vector(&b);
}

/* The scale, of either sign, for x[i] ~ scale * level; 0 for a group of zeros. `spread`: how far the grid goes beyond
 * the scale that just reaches the largest weight, in levels. `steps` (at most OXI_FIT_STEPS): grid points on either
 * side, for either sign. */
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
        float xqs[2 * OXI_FIT_STEPS + 1], qqs[2 * OXI_FIT_STEPS + 1];
        for (int k = -steps; k <= steps; k++) {
            const float inverse = (end + copysignf(spread, end) * (float)k / (float)steps) / extreme;
            oxi_scale_sums(x, w, n, levels, inverse, &xqs[k + steps], &qqs[k + steps]);
        }
        /* Separate from the sums, so that an unpredictable branch does not throw away sums in flight. */
        for (int k = 0; k <= 2 * steps; k++)
            if (qqs[k] > 0.0f && xqs[k] * xqs[k] > gain * qqs[k]) {
                gain = xqs[k] * xqs[k] / qqs[k];
                best = xqs[k] / qqs[k];
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
    float levels_of_x[OXI_FIT_MOST];
    oxi_lanes a = {0}, xs, ws, q;
    oxi_nearest_levels(x, n, levels, inverse, levels_of_x);
    for (int i = 0; i < n; i += OXI_LANES) {
        OXI_LOAD(xs, x + i);
        OXI_LOAD(ws, w + i);
        OXI_LOAD(q, levels_of_x + i);
        const oxi_lanes e = xs - scale * q;
        a += ws * e * e;
    }
    return oxi_sum_vector(&a);
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
    oxi_lanes a = {0}, b = {0}, c = {0}, xs, ws;
    for (int i = 0; i < n; i += OXI_LANES) {
        OXI_LOAD(xs, x + i);
        OXI_LOAD(ws, w + i);
        const oxi_lanes wx = ws * xs;
        a += ws;
        b += wx;
        c += wx * xs;
    }
    return (oxi_moments){oxi_sum_vector(&a), oxi_sum_vector(&b), oxi_sum_vector(&c)};
}

OXI_INLINE void oxi_line_codes(const float *x, int n, float top, float inverse, float minimum, float *q)
{
    float least = 0.0f;
    OXI_OPAQUE(least);
    OXI_OPAQUE(top);
    for (int i = 0; i < n; i++) q[i] = oxi_round(oxi_clamp((x[i] + minimum) * inverse, least, top));
}

/* Rounds x to the line's codes, then solves for the best line for these codes; returns its loss. With `positive` the
 * minimum may not be below zero (the super-block formats never subtract a negative value). */
OXI_INLINE float oxi_line_step(const float *x, const float *w, int n, float top, bool positive, const oxi_moments *m,
                               float inverse, float minimum, oxi_line *out)
{
    float codes[OXI_FIT_MOST];
    oxi_lanes a = {0}, b = {0}, c = {0}, xs, ws, q;
    oxi_line_codes(x, n, top, inverse, minimum, codes);
    for (int i = 0; i < n; i += OXI_LANES) {
        OXI_LOAD(xs, x + i);
        OXI_LOAD(ws, w + i);
        OXI_LOAD(q, codes + i);
        const oxi_lanes wq = ws * q;
        a += wq;
        b += wq * q;
        c += wq * xs;
    }
    const double sw = m->w, sx = m->x, sq = oxi_sum_vector(&a), sqq = oxi_sum_vector(&b), sxq = oxi_sum_vector(&c);
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
    float codes[OXI_FIT_MOST];
    oxi_lanes a = {0}, xs, ws, q;
    oxi_line_codes(x, n, top, inverse, minimum, codes);
    for (int i = 0; i < n; i += OXI_LANES) {
        OXI_LOAD(xs, x + i);
        OXI_LOAD(ws, w + i);
        OXI_LOAD(q, codes + i);
        const oxi_lanes e = xs - (scale * q - minimum);
        a += ws * e * e;
    }
    return oxi_sum_vector(&a);
}

#endif
