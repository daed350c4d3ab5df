/* Encoders of the IQ formats, whose weights come in fours or eights from a codebook. The layouts are drawn in codebooks.c.
 *
 *     x ~ d * unit * (2 * scale[g] + 1) * (an entry's levels, with signs or, in IQ1, with a shift)
 *
 * As in the other super-blocks, each group is first fitted alone; then fitting groups and fitting d alternate.
 */
#include "quant/encode/codebook_search.h"
#include "quant/codebook_tables.h"
#include "quant/encode/encode.h"
#include "quant/encode/fit.h"
#include "quant/half.h"

#include <stdlib.h>

enum { VECTORS = 8, GROUPS = 16, TURNS = 2 };

/* How a format uses its codebook. */
typedef struct style {
    int dim, group, n_scales;
    bool signs, even, shift, shift_each; /* even: of each eight signs, an even number is negative */
    float unit;
    float least, most; /* the grid of scales; the unit is the scale at which the largest weight reaches the highest level */
    int steps;
} style;

/* One group during the search: the target of its entries, and what was found. */
typedef struct group {
    float x[32]; /* magnitudes (below zero where parity forced a sign), or weights in IQ1 */
    float w[32];
    uint8_t signs[4]; /* of eight weights each */
    uint16_t entry[VECTORS];
    uint8_t down[VECTORS]; /* IQ1: shifted down */
    float xq, qq;          /* sums of w x v and w v^2 over the levels found */
} group;

OXI_INLINE void take(style s, const float *x, const float *w, group *g)
{
    for (int i = 0; i < s.group; i++) {
        g->x[i] = s.signs ? fabsf(x[i]) : x[i];
        g->w[i] = w[i];
    }
    for (int v = 0; s.signs && v < s.group / 8; v++) {
        unsigned mask = 0;
        int weakest = 8 * v;
        for (int i = 8 * v; i < 8 * v + 8; i++) {
            mask |= (unsigned)(x[i] < 0.0f) << (i - 8 * v);
            if (w[i] * g->x[i] < w[weakest] * g->x[weakest]) weakest = i;
        }
        if (s.even && __builtin_popcount(mask) % 2) {
            mask ^= 1u << (weakest - 8 * v);
            g->x[weakest] = -g->x[weakest];
        }
        g->signs[v] = (uint8_t)mask;
    }
}

/* The entry nearest to t, and its distance. */
OXI_INLINE int nearest(style s, const oxi_codebook_index *codebook, const float *t, const float *w, float *distance)
{
    int corner = 0;
    for (int i = s.dim - 1; i >= 0; i--) {
        int index = 0;
        for (int k = 0; k < (s.dim == 8 ? 2 : 7); k++) index += t[i] > codebook->middle[k];
        corner = corner * (s.dim == 8 ? 3 : 8) + index;
    }
    const int exact = codebook->exact[corner];
    const uint16_t one = (uint16_t)exact, *list = exact >= 0 ? &one : codebook->near[corner];
    int best = 0;
    *distance = INFINITY;
    for (int k = 0; k < (exact >= 0 ? 1 : OXI_CODEBOOK_NEAR); k++) {
        const float *value = codebook->value[list[k]];
        float d[OXI_CODEBOOK_LANES];
        for (int i = 0; i < s.dim; i++) d[i] = w[i] * (t[i] - value[i]) * (t[i] - value[i]);
        float sum = s.dim == 8 ? oxi_sum_lanes(d) : (d[0] + d[2]) + (d[1] + d[3]);
        if (sum < *distance) {
            *distance = sum;
            best = list[k];
        }
    }
    return best;
}

/* Choose entries for a given step. `down`: the direction of the shift, if the whole group has one. */
OXI_INLINE void choose(style s, const oxi_codebook_index *codebook, float step, int down, group *g)
{
    const float inverse = 1.0f / step;
    float a[OXI_LANES] = {0}, b[OXI_LANES] = {0};
    for (int v = 0; v < s.group / s.dim; v++) {
        const float *x = g->x + v * s.dim, *w = g->w + v * s.dim;
        float t[OXI_CODEBOOK_LANES], distance, least = INFINITY, shift = 0.0f;
        for (int side = s.shift && !s.shift_each ? down : 0; side <= (s.shift_each ? 1 : s.shift ? down : 0); side++) {
            const float now = s.shift ? (side ? -1.0f : 1.0f) : 0.0f;
            for (int i = 0; i < s.dim; i++) t[i] = x[i] * inverse - now;
            const int entry = nearest(s, codebook, t, w, &distance);
            if (distance < least || side == 0) {
                least = distance;
                g->entry[v] = (uint16_t)entry;
                g->down[v] = (uint8_t)side;
                shift = now;
            }
        }
        const float *value = codebook->value[g->entry[v]];
        for (int i = 0; i < s.dim; i++) {
            const float q = value[i] + shift;
            a[i] += w[i] * x[i] * q;
            b[i] += w[i] * q * q;
        }
    }
    g->xq = oxi_sum_lanes(a);
    g->qq = oxi_sum_lanes(b);
}

/* Find the best step for a group, and its gain over leaving the group zero. */
OXI_INLINE float fit_group(style s, const oxi_codebook_index *codebook, int down, group *g, float *gain)
{
    float top = 0.0f, best = 0.0f;
    *gain = 0.0f;
    for (int i = 0; i < s.group; i++) top = fabsf(g->x[i]) > top ? fabsf(g->x[i]) : top;
    if (top < OXI_FIT_LEAST) return 0.0f;
    const float reach = top / codebook->level[codebook->n_levels - 1];
    for (int k = 0; k < s.steps; k++) {
        choose(s, codebook, reach * (s.least + (s.most - s.least) * (float)k / (float)(s.steps - 1)), down, g);
        if (g->xq > 0.0f && g->xq * g->xq > *gain * g->qq) {
            *gain = g->xq * g->xq / g->qq;
            best = g->xq / g->qq;
        }
    }
    for (int k = 0; k < 3 && best > 0.0f; k++) {
        choose(s, codebook, best, down, g);
        if (!(g->xq > 0.0f && g->xq * g->xq > *gain * g->qq)) break;
        *gain = g->xq * g->xq / g->qq;
        best = g->xq / g->qq;
    }
    return best;
}

/* The k below n whose odd multiple, 2k + 1, is nearest. */
OXI_INLINE int odd_index(float multiple, int n)
{
    return (int)oxi_round(oxi_clamp((multiple - 1.0f) / 2.0f, 0.0f, (float)(n - 1)));
}

/* The unit for which n steps are nearly odd multiples, 2k + 1 with k below n_scales. */
static float odd_unit(const float *step, const float *weight, int n, int n_scales)
{
    float top = 0.0f, best = 0.0f;
    double loss = INFINITY;
    for (int i = 0; i < n; i++) top = step[i] > top ? step[i] : top;
    if (!(top > 0.0f)) return 0.0f;
    for (int k = -8; k <= 16; k++) {
        const float unit = top / ((2.0f * (float)n_scales - 1.0f) * (1.0f + (float)k / 64.0f));
        double xq = 0.0, qq = 0.0, sum = 0.0;
        for (int i = 0; i < n; i++) {
            const float q = 2.0f * (float)odd_index(step[i] / unit, n_scales) + 1.0f;
            xq += (double)weight[i] * step[i] * q;
            qq += (double)weight[i] * q * q;
        }
        const float solved = (float)(xq / qq);
        for (int i = 0; i < n; i++) {
            const float q = 2.0f * (float)odd_index(step[i] / solved, n_scales) + 1.0f;
            sum += (double)weight[i] * (step[i] - solved * q) * (step[i] - solved * q);
        }
        if (sum < loss) {
            loss = sum;
            best = solved;
        }
    }
    return best;
}

/* Fit d and all the block's groups and scales. */
OXI_INLINE uint16_t fit_block(style s, const oxi_codebook_index *codebook, const float *x, const float *w, uint8_t *scale,
                              group *best)
{
    const int n = 256 / s.group;
    group g[GROUPS];
    float step[GROUPS], weight[GROUPS];
    uint8_t shift[GROUPS] = {0}, now[GROUPS] = {0};
    for (int i = 0; i < n; i++) {
        float gain, other;
        take(s, x + i * s.group, w + i * s.group, &g[i]);
        step[i] = fit_group(s, codebook, 0, &g[i], &gain);
        if (s.shift && !s.shift_each) {
            const float second = fit_group(s, codebook, 1, &g[i], &other);
            if (other > gain) {
                step[i] = second;
                shift[i] = 1;
            }
        }
        weight[i] = 1e-9f;
        if (step[i] > 0.0f) {
            choose(s, codebook, step[i], shift[i], &g[i]);
            weight[i] += g[i].qq;
        }
    }
    float unit = odd_unit(step, weight, n, s.n_scales) / s.unit, loss = INFINITY;
    uint16_t d = 0;
    memcpy(best, g, sizeof g);
    memset(scale, 0, GROUPS);
    for (int turn = 0; turn <= TURNS; turn++) {
        const uint16_t half = oxi_scale_half(unit);
        const float df = oxi_half_float(half) * s.unit;
        if (!(df > 0.0f)) { /* all zero: any entries will do */
            if (turn == 0)
                for (int i = 0; i < n; i++) choose(s, codebook, 1.0f, 0, &best[i]);
            break;
        }
        float sum = 0.0f, num = 0.0f, den = 0.0f;
        for (int i = 0; i < n; i++) {
            const int middle = turn ? scale[i] : odd_index(step[i] / df, s.n_scales);
            float lowest = INFINITY;
            group keep = g[i];
            for (int k = middle > 0 ? middle - 1 : 0; k <= middle + 1 && k < s.n_scales; k++) {
                const float odd = 2.0f * (float)k + 1.0f, now_step = df * odd;
                for (int down = 0; down <= (s.shift && !s.shift_each); down++) {
                    choose(s, codebook, now_step, down, &g[i]);
                    const float l = now_step * (now_step * g[i].qq - 2.0f * g[i].xq);
                    if (l < lowest) {
                        lowest = l;
                        now[i] = (uint8_t)k;
                        keep = g[i];
                    }
                }
            }
            g[i] = keep;
            sum += lowest;
            const float odd = 2.0f * (float)now[i] + 1.0f;
            num += odd * keep.xq;
            den += odd * odd * keep.qq;
        }
        if (turn > 0 && !(sum < loss)) break;
        loss = sum;
        d = half;
        memcpy(scale, now, GROUPS);
        memcpy(best, g, sizeof g);
        unit = num > 0.0f ? num / den / s.unit : 0.0f;
    }
    return d;
}

static void put_u16(uint8_t *dst, unsigned v)
{
    dst[0] = (uint8_t)v;
    dst[1] = (uint8_t)(v >> 8);
}

static void put_u32(uint8_t *dst, uint32_t v)
{
    put_u16(dst, v & 0xffff);
    put_u16(dst + 2, v >> 16);
}

static void *codebook_2(const uint16_t *entries, int n)
{
    static const int8_t levels[3] = {8, 25, 43};
    return oxi_codebook_make(entries, n, 8, levels, 3);
}

void *oxi_prepare_iq2_xxs(void) { return codebook_2(oxi_codebook_iq2_xxs, 256); }
void *oxi_prepare_iq2_xs(void) { return codebook_2(oxi_codebook_iq2_xs, 512); }
void *oxi_prepare_iq2_s(void) { return codebook_2(oxi_codebook_iq2_s, 1024); }

void *oxi_prepare_iq3_xxs(void)
{
    static const int8_t levels[8] = {4, 12, 20, 28, 36, 44, 52, 62};
    return oxi_codebook_make(oxi_codebook_iq3_xxs, 256, 4, levels, 8);
}

void *oxi_prepare_iq3_s(void)
{
    static const int8_t levels[8] = {1, 3, 5, 7, 9, 11, 13, 15};
    return oxi_codebook_make(oxi_codebook_iq3_s, 512, 4, levels, 8);
}

void *oxi_prepare_iq1(void)
{
    static const int8_t levels[3] = {-8, 0, 8};
    return oxi_codebook_make(oxi_codebook_iq1, 2048, 8, levels, 3);
}

/* Four times seven signs, and the scale in the top bits. */
static uint32_t signs_word(const group *g, uint8_t scale)
{
    uint32_t word = (uint32_t)scale << 28;
    for (int i = 0; i < 4; i++) word |= (uint32_t)(g->signs[i] & 127) << 7 * i;
    return word;
}

OXI_ENCODER void oxi_encode_iq2_xxs(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    static const style s = {.dim = 8, .group = 32, .n_scales = 16, .signs = true, .even = true, .unit = 0.125f,
                            .least = 0.55f, .most = 1.3f, .steps = 11};
    group g[GROUPS];
    uint8_t scale[GROUPS];
    put_u16(dst, fit_block(s, prepared, x, w, scale, g));
    for (int i = 0; i < 8; i++) {
        uint8_t *p = dst + 2 + 8 * i;
        for (int k = 0; k < 4; k++) p[k] = (uint8_t)g[i].entry[k];
        put_u32(p + 4, signs_word(&g[i], scale[i]));
    }
}

OXI_ENCODER void oxi_encode_iq2_xs(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    static const style s = {.dim = 8, .group = 16, .n_scales = 16, .signs = true, .even = true, .unit = 0.125f,
                            .least = 0.55f, .most = 1.3f, .steps = 11};
    group g[GROUPS];
    uint8_t scale[GROUPS];
    put_u16(dst, fit_block(s, prepared, x, w, scale, g));
    for (int i = 0; i < 32; i++) {
        const group *of = &g[i / 2];
        put_u16(dst + 2 + 2 * i, of->entry[i % 2] | (unsigned)(of->signs[i % 2] & 127) << 9);
    }
    for (int i = 0; i < 8; i++) dst[66 + i] = (uint8_t)(scale[2 * i] | scale[2 * i + 1] << 4);
}

OXI_ENCODER void oxi_encode_iq2_s(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    static const style s = {.dim = 8, .group = 16, .n_scales = 16, .signs = true, .unit = 0.125f,
                            .least = 0.55f, .most = 1.3f, .steps = 11};
    group g[GROUPS];
    uint8_t scale[GROUPS], *low = dst + 2, *signs = low + 32, *high = signs + 32, *scales = high + 8;
    put_u16(dst, fit_block(s, prepared, x, w, scale, g));
    memset(high, 0, 8);
    for (int i = 0; i < 32; i++) {
        const group *of = &g[i / 2];
        low[i] = (uint8_t)of->entry[i % 2];
        high[i / 4] |= (uint8_t)((of->entry[i % 2] >> 8) << 2 * (i % 4));
        signs[i] = of->signs[i % 2];
    }
    for (int i = 0; i < 8; i++) scales[i] = (uint8_t)(scale[2 * i] | scale[2 * i + 1] << 4);
}

OXI_ENCODER void oxi_encode_iq3_xxs(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    static const style s = {.dim = 4, .group = 32, .n_scales = 16, .signs = true, .even = true, .unit = 0.25f,
                            .least = 0.6f, .most = 1.2f, .steps = 11};
    group g[GROUPS];
    uint8_t scale[GROUPS];
    put_u16(dst, fit_block(s, prepared, x, w, scale, g));
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < 8; k++) dst[2 + 8 * i + k] = (uint8_t)g[i].entry[k];
        put_u32(dst + 66 + 4 * i, signs_word(&g[i], scale[i]));
    }
}

OXI_ENCODER void oxi_encode_iq3_s(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    static const style s = {.dim = 4, .group = 32, .n_scales = 16, .signs = true, .unit = 1.0f,
                            .least = 0.6f, .most = 1.2f, .steps = 11};
    group g[GROUPS];
    uint8_t scale[GROUPS], *low = dst + 2, *high = low + 64, *signs = high + 8, *scales = signs + 32;
    put_u16(dst, fit_block(s, prepared, x, w, scale, g));
    memset(high, 0, 8);
    for (int i = 0; i < 64; i++) {
        const unsigned entry = g[i / 8].entry[i % 8];
        low[i] = (uint8_t)entry;
        high[i / 8] |= (uint8_t)((entry >> 8) << i % 8);
    }
    for (int i = 0; i < 32; i++) signs[i] = g[i / 4].signs[i % 4];
    for (int i = 0; i < 4; i++) scales[i] = (uint8_t)(scale[2 * i] | scale[2 * i + 1] << 4);
}

OXI_ENCODER void oxi_encode_iq1_s(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    static const style s = {.dim = 8, .group = 32, .n_scales = 8, .shift = true, .unit = 0.125f,
                            .least = 0.25f, .most = 1.0f, .steps = 11};
    group g[GROUPS];
    uint8_t scale[GROUPS];
    put_u16(dst, fit_block(s, prepared, x, w, scale, g));
    for (int i = 0; i < 8; i++) {
        unsigned word = (unsigned)scale[i] << 12 | (unsigned)g[i].down[0] << 15;
        for (int k = 0; k < 4; k++) {
            dst[2 + 4 * i + k] = (uint8_t)g[i].entry[k];
            word |= (unsigned)(g[i].entry[k] >> 8) << 3 * k;
        }
        put_u16(dst + 34 + 2 * i, word);
    }
}

OXI_ENCODER void oxi_encode_iq1_m(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    static const style s = {.dim = 8, .group = 16, .n_scales = 8, .shift = true, .shift_each = true, .unit = 0.125f,
                            .least = 0.3f, .most = 1.1f, .steps = 11};
    group g[GROUPS];
    uint8_t scale[GROUPS], *high = dst + 32, *words = high + 16;
    const unsigned d = fit_block(s, prepared, x, w, scale, g);
    memset(high, 0, 16);
    for (int i = 0; i < 32; i++) {
        const group *of = &g[i / 2];
        dst[i] = (uint8_t)of->entry[i % 2];
        high[i / 2] |= (uint8_t)((of->entry[i % 2] >> 8 | (unsigned)of->down[i % 2] << 3) << 4 * (i % 2));
    }
    for (int i = 0; i < 4; i++) {
        unsigned word = ((d >> 4 * i) & 15) << 12;
        for (int k = 0; k < 4; k++) word |= (unsigned)scale[4 * i + k] << 3 * k;
        put_u16(words + 2 * i, word);
    }
}
