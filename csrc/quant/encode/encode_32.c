/* Encoders of the formats with one half-precision scale, and perhaps a minimum, for 32 weights. The layouts are drawn in
 * blocks_32.c. */
#include "quant/encode/encode.h"
#include "quant/encode/fit.h"
#include "quant/half.h"

static void put_half(uint8_t *dst, float v)
{
    const uint16_t half = oxi_scale_half(v);
    memcpy(dst, &half, 2);
}

static void put_nibbles(const uint8_t code[32], uint8_t *qs)
{
    for (int i = 0; i < 16; i++) qs[i] = (uint8_t)((code[i] & 15) | (code[16 + i] & 15) << 4);
}

static void put_fifth_bits(const uint8_t code[32], uint8_t *qh)
{
    memset(qh, 0, 4);
    for (int i = 0; i < 32; i++) qh[i / 8] |= (uint8_t)((code[i] >> 4) << i % 8);
}

/* d and the codes of x / d, shifted so that they begin at zero. */
OXI_INLINE void symmetric(const float *x, const float *w, int levels_below, float spread, int steps, uint8_t *d,
                          uint8_t code[32])
{
    const oxi_levels levels = {-(float)levels_below, (float)levels_below - 1.0f, NULL};
    put_half(d, oxi_fit_scale(x, w, 32, levels, spread, steps));
    const float scale = oxi_half_float(oxi_read_u16(d)), inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    for (int i = 0; i < 32; i++) code[i] = (uint8_t)(int)(oxi_level(levels, x[i] * inverse) - levels.low);
}

/* d, the smallest weight, and codes from 0 to top. */
OXI_INLINE void affine(const float *x, const float *w, float top, uint8_t *d, uint8_t code[32])
{
    const oxi_line line = oxi_fit_line(x, w, 32, top, false, -1.0f, 2.5f, 16);
    put_half(d, line.scale);
    const float scale = oxi_half_float(oxi_read_u16(d)), inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
    put_half(d + 2, -line.minimum);
    const float smallest = oxi_half_float(oxi_read_u16(d + 2));
    for (int i = 0; i < 32; i++)
        code[i] = (uint8_t)(int)oxi_round(oxi_clamp((x[i] - smallest) * inverse, 0.0f, top));
}

OXI_ENCODER void oxi_encode_q4_0(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    uint8_t code[32];
    (void)prepared;
    symmetric(x, w, 8, 1.75f, 5, dst, code);
    put_nibbles(code, dst + 2);
}

OXI_ENCODER void oxi_encode_q5_0(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    uint8_t code[32];
    (void)prepared;
    symmetric(x, w, 16, 2.5f, 6, dst, code);
    put_fifth_bits(code, dst + 2);
    put_nibbles(code, dst + 6);
}

OXI_ENCODER void oxi_encode_q4_1(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    uint8_t code[32];
    (void)prepared;
    affine(x, w, 15.0f, dst, code);
    put_nibbles(code, dst + 4);
}

OXI_ENCODER void oxi_encode_q5_1(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    uint8_t code[32];
    (void)prepared;
    affine(x, w, 31.0f, dst, code);
    put_fifth_bits(code, dst + 4);
    put_nibbles(code, dst + 8);
}

/* With 255 levels there is nothing to search for: use the scale that just reaches the largest weight. */
OXI_ENCODER void oxi_encode_q8_0(const void *prepared, const float *x, const float *w, uint8_t *dst)
{
    float top = 0.0f;
    (void)prepared;
    (void)w;
    for (int i = 0; i < 32; i++) top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
    const float d = top / 127.0f, inverse = top >= OXI_FIT_LEAST ? 1.0f / d : 0.0f;
    put_half(dst, d);
    for (int i = 0; i < 32; i++) {
        const float v = oxi_clamp(x[i] * inverse, -127.0f, 127.0f);
        dst[2 + i] = (uint8_t)(int8_t)(v + copysignf(0.5f, v));
    }
}
