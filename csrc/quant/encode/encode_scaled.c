/* Encoders of the super-block formats without minima: Q3_K, Q6_K. The layouts are drawn in k_quants.c and k_small.c. */
#include "quant/encode/encode.h"
#include "quant/encode/fit.h"
#include "quant/encode/fit_scaled.h"
#include "quant/half.h"

OXI_ENCODER void oxi_encode_q3_k(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    uint16_t d;
    int8_t scale[16];
    uint8_t code[256];
    (void)prepared;
    const oxi_levels levels = {-4.0f, 3.0f, NULL};
    oxi_fit_scaled(x, w, 16, levels, 1.25f, 3, -32, 31, &d, scale);
    for (int g = 0; g < 16; g++) oxi_scaled_codes(x + 16 * g, 16, levels, d, scale[g], code + 16 * g);
    uint8_t *high = dst, *qs = dst + 32, *scales = dst + 96;
    memset(dst, 0, 108);
    for (int i = 0; i < 256; i++) {
        high[i % 32] |= (uint8_t)((code[i] >> 2) << i / 32);
        qs[i / 128 * 32 + i % 32] |= (uint8_t)((code[i] & 3) << 2 * (i % 128 / 32));
    }
    for (int g = 0; g < 16; g++) {
        const int s = scale[g] + 32;
        scales[g % 8] |= (uint8_t)((s & 15) << 4 * (g / 8));
        scales[8 + g % 4] |= (uint8_t)((s >> 4) << 2 * (g / 4));
    }
    memcpy(dst + 108, &d, 2);
}

OXI_ENCODER void oxi_encode_q6_k(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    uint16_t d;
    int8_t scale[16];
    uint8_t code[256];
    (void)prepared;
    const oxi_levels levels = {-32.0f, 31.0f, NULL};
    oxi_fit_scaled(x, w, 16, levels, 4.0f, 4, -128, 127, &d, scale);
    for (int g = 0; g < 16; g++) oxi_scaled_codes(x + 16 * g, 16, levels, d, scale[g], code + 16 * g);
    for (int half = 0; half < 2; half++) {
        const uint8_t *c = code + 128 * half;
        for (int i = 0; i < 32; i++) {
            dst[64 * half + i] = (uint8_t)((c[i] & 15) | (c[64 + i] & 15) << 4);
            dst[64 * half + 32 + i] = (uint8_t)((c[32 + i] & 15) | (c[96 + i] & 15) << 4);
            dst[128 + 32 * half + i] =
                (uint8_t)(c[i] >> 4 | (c[32 + i] >> 4) << 2 | (c[64 + i] >> 4) << 4 | (c[96 + i] >> 4) << 6);
        }
    }
    memcpy(dst + 192, scale, 16);
    memcpy(dst + 208, &d, 2);
}
