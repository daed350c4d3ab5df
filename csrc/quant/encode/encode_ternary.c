/* Encoders of the formats of one and two bits. The layouts are drawn in ternary.c. */
#include "quant/encode/encode.h"
#include "quant/encode/fit.h"
#include "quant/half.h"

#include <stdlib.h>

typedef struct sized {
    float magnitude, weight;
} sized;

static int larger_first(const void *a, const void *b)
{
    const float l = ((const sized *)a)->magnitude, r = ((const sized *)b)->magnitude;
    return (l < r) - (l > r);
}

/* The scale d of 256 weights that become -d, 0 or d. For any d, the weights that do not become zero are those of the
 * largest magnitude, and for the largest k the best d is their mean. So every k is tried. */
static uint16_t ternary_scale(const float *x, const float *w)
{
    sized order[256];
    for (int i = 0; i < 256; i++) order[i] = (sized){fabsf(x[i]), w[i]};
    qsort(order, 256, sizeof *order, larger_first);
    double sum = 0.0, weight = 0.0, gain = 0.0, d = 0.0;
    for (int k = 0; k < 256; k++) {
        sum += (double)order[k].weight * order[k].magnitude;
        weight += order[k].weight;
        if (sum * sum > gain * weight) {
            gain = sum * sum / weight;
            d = sum / weight;
        }
    }
    return oxi_float_half((float)d);
}

static void ternary_codes(const float *x, uint16_t d, uint8_t code[256])
{
    const float scale = oxi_half_float(d), inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
    for (int i = 0; i < 256; i++) code[i] = (uint8_t)(int)(oxi_round(oxi_clamp(x[i] * inverse, -1.0f, 1.0f)) + 1.0f);
}

/* The fraction, in 256ths, with these base-3 digits, rounded up so that multiplying brings each digit to the top. */
static uint8_t fraction(const uint8_t *code, int stride, int n)
{
    int v = 0;
    for (int k = 0; k < 5; k++) v = 3 * v + (k < n ? code[k * stride] : 0);
    return (uint8_t)((v * 256 + 242) / 243);
}

void oxi_encode_tq1_0(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    const uint16_t d = ternary_scale(x, w);
    uint8_t code[256];
    (void)prepared;
    ternary_codes(x, d, code);
    for (int i = 0; i < 32; i++) dst[i] = fraction(code + i, 32, 5);
    for (int i = 0; i < 16; i++) dst[32 + i] = fraction(code + 160 + i, 16, 5);
    for (int i = 0; i < 4; i++) dst[48 + i] = fraction(code + 240 + i, 4, 4);
    memcpy(dst + 52, &d, 2);
}

void oxi_encode_tq2_0(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    const uint16_t d = ternary_scale(x, w);
    uint8_t code[256];
    (void)prepared;
    ternary_codes(x, d, code);
    memset(dst, 0, 64);
    for (int i = 0; i < 256; i++) dst[i / 128 * 32 + i % 32] |= (uint8_t)(code[i] << 2 * (i % 128 / 32));
    memcpy(dst + 64, &d, 2);
}

/* Signs only; the best scale is the mean magnitude. */
void oxi_encode_q1_0(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    double sum = 0.0, weight = 0.0;
    (void)prepared;
    for (int i = 0; i < 128; i++) {
        sum += (double)w[i] * fabsf(x[i]);
        weight += w[i];
    }
    const uint16_t d = oxi_float_half((float)(sum / weight));
    memcpy(dst, &d, 2);
    memset(dst + 2, 0, 16);
    for (int i = 0; i < 128; i++) dst[2 + i / 8] |= (uint8_t)((x[i] >= 0.0f) << i % 8);
}

OXI_ENCODER void oxi_encode_q2_0(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    const oxi_levels levels = {-1.0f, 2.0f, NULL};
    (void)prepared;
    const uint16_t d = oxi_scale_half(oxi_fit_scale(x, w, 64, levels, 1.0f, 12));
    const float scale = oxi_half_float(d), inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    memcpy(dst, &d, 2);
    memset(dst + 2, 0, 16);
    for (int i = 0; i < 64; i++) {
        const int code = (int)(oxi_level(levels, x[i] * inverse) + 1.0f);
        dst[2 + i / 4] |= (uint8_t)(code << 2 * (i % 4));
    }
}
