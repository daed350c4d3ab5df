/* Encoders of the formats whose 4-bit codes stand for the values of a table. The layouts are drawn in tables_4.c. */
#include "quant/encode/encode.h"
#include "quant/encode/fit.h"
#include "quant/encode/fit_scaled.h"
#include "quant/half.h"
#include "quant/tables_4.h"

#include <stdlib.h>

/* The level nearest to the middle of each cell. */
static void *nearest(const int8_t values[16])
{
    oxi_nearest *table = malloc(sizeof *table);
    if (!table) return NULL;
    for (int cell = 0; cell < 512; cell++) {
        const float t = ((float)cell + 0.5f) / 2.0f - 128.0f;
        int best = 0;
        for (int c = 1; c < 16; c++)
            if (fabsf(t - values[c]) < fabsf(t - values[best])) best = c;
        table->level[cell] = values[best];
        table->code[cell] = (uint8_t)best;
    }
    return table;
}

void *oxi_prepare_nl(void) { return nearest(oxi_values_nl); }

void *oxi_prepare_e2m1(void) { return nearest(oxi_values_e2m1); }

/* How far the search goes beyond the scale that just reaches the largest weight, of 127. */
#define NL_SPREAD 28.0f
#define NL_STEPS 4

static void put_nibbles(const uint8_t *code, int half, uint8_t *qs)
{
    for (int i = 0; i < half; i++) qs[i] = (uint8_t)(code[i] | code[half + i] << 4);
}

OXI_ENCODER void oxi_encode_iq4_nl(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    const oxi_levels levels = {-127.0f, 113.0f, prepared};
    const uint16_t d = oxi_scale_half(oxi_fit_scale(x, w, 32, levels, NL_SPREAD, NL_STEPS));
    uint8_t code[32];
    oxi_scaled_codes(x, 32, levels, d, 1, code);
    memcpy(dst, &d, 2);
    put_nibbles(code, 16, dst + 2);
}

OXI_ENCODER void oxi_encode_iq4_xs(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    const oxi_levels levels = {-127.0f, 113.0f, prepared};
    uint16_t d, high = 0;
    int8_t scale[8];
    oxi_fit_scaled(x, w, 8, levels, NL_SPREAD, NL_STEPS, -32, 31, &d, scale);
    memset(dst + 4, 0, 4);
    for (int g = 0; g < 8; g++) {
        uint8_t code[32];
        const int s = scale[g] + 32;
        oxi_scaled_codes(x + 32 * g, 32, levels, d, scale[g], code);
        put_nibbles(code, 16, dst + 8 + 16 * g);
        dst[4 + g / 2] |= (uint8_t)((s & 15) << 4 * (g % 2));
        high |= (uint16_t)((s >> 4) << 2 * g);
    }
    memcpy(dst, &d, 2);
    memcpy(dst + 2, &high, 2);
}

OXI_INLINE void put_codes(const oxi_levels levels, const float *x, int n, float scale, uint8_t *qs)
{
    const float inverse = scale > 1e-30f ? 1.0f / scale : 0.0f; /* a block of zeros gets MXFP4's smallest scale, 2^-128 */
    uint8_t code[32];
    for (int i = 0; i < n; i++)
        code[i] = levels.table->code[(int)((oxi_clamp(x[i] * inverse, levels.low, levels.high) + 128.0f) * 2.0f)];
    put_nibbles(code, n / 2, qs);
}

static float largest(const float *x, int n)
{
    float top = 0.0f;
    for (int i = 0; i < n; i++) top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
    return top;
}

/* The scale is a power of two: try the one that just reaches the largest weight, and its neighbours. */
OXI_ENCODER void oxi_encode_mxfp4(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    const oxi_levels levels = {-12.0f, 12.0f, prepared};
    const float top = largest(x, 32);
    int exponent = 0;
    if (top >= OXI_FIT_LEAST) {
        int reach;
        frexpf(top / 12.0f, &reach); /* 2^reach is above top / 12 */
        float loss = INFINITY;
        for (int e = reach + 126; e <= reach + 129; e++) {
            const float now = oxi_scale_loss(x, w, 32, levels, oxi_half_of_e8m0((uint8_t)e));
            if (now < loss) {
                loss = now;
                exponent = e;
            }
        }
    }
    dst[0] = (uint8_t)exponent;
    put_codes(levels, x, 32, oxi_half_of_e8m0(dst[0]), dst + 1);
}

/* One small float per 16 weights: try all from below half to beyond twice the one that just reaches the largest weight. */
OXI_ENCODER void oxi_encode_nvfp4(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    const oxi_levels levels = {-12.0f, 12.0f, prepared};
    for (int g = 0; g < 4; g++) {
        const float *gx = x + 16 * g, top = largest(gx, 16) / 12.0f;
        int reach = 0, scale = 0;
        while (reach < 126 && oxi_half_of_ue4m3((uint8_t)reach) < top) reach++;
        float loss = INFINITY;
        for (int v = reach > 9 ? reach - 9 : 0; v <= reach + 9 && v <= 126; v++) {
            const float now = oxi_scale_loss(gx, w + 16 * g, 16, levels, oxi_half_of_ue4m3((uint8_t)v));
            if (now < loss) {
                loss = now;
                scale = v;
            }
        }
        dst[g] = (uint8_t)scale;
        put_codes(levels, gx, 16, oxi_half_of_ue4m3(dst[g]), dst + 4 + 8 * g);
    }
}
