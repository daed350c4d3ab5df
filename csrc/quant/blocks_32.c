/* Formats with one half-precision scale for 32 weights. */
#include "quant.h"

#include "half.h"

#include <math.h>

/* d: half | qs[16]: weight i in the low nibble of byte i, weight 16 + i in the high one. */
enum { Q4_0_BYTES = 2 + 16 };

static void decode_q4_0(const uint8_t *src, oxi_block *out)
{
    const uint8_t *qs = src + 2;
    out->d = oxi_read_u16(src);
    out->scale[0] = 1;
    for (int i = 0; i < 16; i++) {
        out->code[i] = qs[i] & 15;
        out->code[16 + i] = qs[i] >> 4;
    }
}

/* The weight of largest magnitude becomes code 0 (-8), so that its sign decides the scale's. */
static void encode_q4_0(const float *x, uint8_t *dst)
{
    float extreme = 0.0f;
    for (int i = 0; i < 32; i++)
        if (fabsf(x[i]) > fabsf(extreme)) extreme = x[i];
    const float d = extreme / -8.0f;
    const float inverse = d != 0.0f ? 1.0f / d : 0.0f;
    const uint16_t half = oxi_float_half(d);
    memcpy(dst, &half, 2);
    uint8_t code[32];
    for (int i = 0; i < 32; i++) {
        const float v = x[i] * inverse + 8.5f;
        code[i] = (uint8_t)(int)(v < 15.0f ? (v > 0.0f ? v : 0.0f) : 15.0f);
    }
    for (int i = 0; i < 16; i++) dst[2 + i] = (uint8_t)(code[i] | code[16 + i] << 4);
}

const oxi_format oxi_format_q4_0 = {32, Q4_0_BYTES, 32, 4, 8, false, decode_q4_0, encode_q4_0};

/* d: half | qs[32]: signed bytes. Codes are kept unsigned, 128 more. */
enum { Q8_0_BYTES = 2 + 32 };

static void decode_q8_0(const uint8_t *src, oxi_block *out)
{
    out->d = oxi_read_u16(src);
    out->scale[0] = 1;
    for (int i = 0; i < 32; i++) out->code[i] = src[2 + i] ^ 128;
}

static void encode_q8_0(const float *x, uint8_t *dst)
{
    float top = 0.0f;
    for (int i = 0; i < 32; i++) top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
    const float d = top / 127.0f;
    const float inverse = d != 0.0f ? 1.0f / d : 0.0f;
    const uint16_t half = oxi_float_half(d);
    memcpy(dst, &half, 2);
    for (int i = 0; i < 32; i++) {
        float v = x[i] * inverse;
        v = v < 127.0f ? (v > -127.0f ? v : -127.0f) : 127.0f;
        dst[2 + i] = (uint8_t)(int8_t)(v + copysignf(0.5f, v));
    }
}

const oxi_format oxi_format_q8_0 = {32, Q8_0_BYTES, 32, 8, 128, false, decode_q8_0, encode_q8_0};
