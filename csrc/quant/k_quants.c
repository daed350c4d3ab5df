/* Super-blocks of 256 weights: half-precision scales for the whole, small integer scales for groups of 16 or 32. */
#include "quant.h"

#include "half.h"

#include <math.h>

/* Q4_K and Q5_K share d, dmin and twelve bytes that hold eight 6-bit scales S and eight 6-bit minima M:
 *     bytes 0-3   S0..S3 in the low six bits, above them the two high bits of S4..S7
 *     bytes 4-7   M0..M3 in the low six bits, above them the two high bits of M4..M7
 *     bytes 8-11  the low nibbles of S4..S7 below, of M4..M7 above */
enum { K_SCALES = 12, Q4_K_BYTES = 2 + 2 + K_SCALES + 128, Q5_K_BYTES = Q4_K_BYTES + 32 };

static void decode_scales(const uint8_t *s, oxi_block *out)
{
    for (int i = 0; i < 4; i++) {
        out->scale[i] = s[i] & 63;
        out->minimum[i] = s[4 + i] & 63;
        out->scale[4 + i] = (int8_t)((s[8 + i] & 15) | (s[i] >> 6) << 4);
        out->minimum[4 + i] = (uint8_t)((s[8 + i] >> 4) | (s[4 + i] >> 6) << 4);
    }
}

static void encode_scales(const uint8_t scale[8], const uint8_t minimum[8], uint8_t *s)
{
    for (int i = 0; i < 4; i++) {
        s[i] = (uint8_t)(scale[i] | (scale[4 + i] >> 4) << 6);
        s[4 + i] = (uint8_t)(minimum[i] | (minimum[4 + i] >> 4) << 6);
        s[8 + i] = (uint8_t)((scale[4 + i] & 15) | (minimum[4 + i] & 15) << 4);
    }
}

/* Groups in pairs share 32 bytes: the first of the pair in the low nibbles. */
static void decode_nibbles(const uint8_t *qs, uint8_t *code)
{
    for (int pair = 0; pair < 4; pair++)
        for (int i = 0; i < 32; i++) {
            code[64 * pair + i] = qs[32 * pair + i] & 15;
            code[64 * pair + 32 + i] = qs[32 * pair + i] >> 4;
        }
}

static void encode_nibbles(const uint8_t *code, uint8_t *qs)
{
    for (int pair = 0; pair < 4; pair++)
        for (int i = 0; i < 32; i++)
            qs[32 * pair + i] = (uint8_t)((code[64 * pair + i] & 15) | (code[64 * pair + 32 + i] & 15) << 4);
}

static uint8_t round_to(float v, float top)
{
    v += 0.5f;
    return (uint8_t)(int)(v < top ? (v > 0.0f ? v : 0.0f) : top);
}

/* Codes of `bits` bits over [min, max] of each group (zero always inside), the two ends rounded to six bits. */
static void encode_with_minima(const float *x, int bits, uint8_t *head, uint8_t *code)
{
    const float top = (float)((1 << bits) - 1);
    float scale[8], minimum[8], most_scale = 0.0f, most_minimum = 0.0f;
    for (int g = 0; g < 8; g++) {
        float low = 0.0f, high = 0.0f;
        for (int i = 0; i < 32; i++) {
            const float v = x[32 * g + i];
            low = v < low ? v : low;
            high = v > high ? v : high;
        }
        scale[g] = (high - low) / top;
        minimum[g] = -low;
        most_scale = scale[g] > most_scale ? scale[g] : most_scale;
        most_minimum = minimum[g] > most_minimum ? minimum[g] : most_minimum;
    }
    const uint16_t d = oxi_float_half(most_scale / 63.0f), dmin = oxi_float_half(most_minimum / 63.0f);
    const float df = oxi_half_float(d), dminf = oxi_half_float(dmin);
    memcpy(head, &d, 2);
    memcpy(head + 2, &dmin, 2);
    uint8_t s[8], m[8];
    for (int g = 0; g < 8; g++) {
        s[g] = df > 0.0f ? round_to(scale[g] / df, 63.0f) : 0;
        m[g] = dminf > 0.0f ? round_to(minimum[g] / dminf, 63.0f) : 0;
        const float step = df * (float)s[g], offset = dminf * (float)m[g];
        const float inverse = step > 0.0f ? 1.0f / step : 0.0f;
        for (int i = 0; i < 32; i++) code[32 * g + i] = round_to((x[32 * g + i] + offset) * inverse, top);
    }
    encode_scales(s, m, head + 4);
}

/* d | dmin | scales | qs[128] */
static void decode_q4_k(const uint8_t *src, oxi_block *out)
{
    out->d = oxi_read_u16(src);
    out->dmin = oxi_read_u16(src + 2);
    decode_scales(src + 4, out);
    decode_nibbles(src + 4 + K_SCALES, out->code);
}

static void encode_q4_k(const float *x, uint8_t *dst)
{
    uint8_t code[256];
    encode_with_minima(x, 4, dst, code);
    encode_nibbles(code, dst + 4 + K_SCALES);
}

const oxi_format oxi_format_q4_k = {.block = 256, .block_size = Q4_K_BYTES, .group = 32, .bits = 4, .minima = true,
                                     .unit = 1.0f, .decode = decode_q4_k, .encode = encode_q4_k};

/* d | dmin | scales | qh[32] | qs[128]: bit g of qh[i] is the fifth bit of weight i of group g. */
static void decode_q5_k(const uint8_t *src, oxi_block *out)
{
    const uint8_t *qh = src + 4 + K_SCALES;
    out->d = oxi_read_u16(src);
    out->dmin = oxi_read_u16(src + 2);
    decode_scales(src + 4, out);
    decode_nibbles(qh + 32, out->code);
    for (int g = 0; g < 8; g++)
        for (int i = 0; i < 32; i++) out->code[32 * g + i] |= (uint8_t)(((qh[i] >> g) & 1) << 4);
}

static void encode_q5_k(const float *x, uint8_t *dst)
{
    uint8_t code[256], *qh = dst + 4 + K_SCALES;
    encode_with_minima(x, 5, dst, code);
    encode_nibbles(code, qh + 32);
    memset(qh, 0, 32);
    for (int g = 0; g < 8; g++)
        for (int i = 0; i < 32; i++) qh[i] |= (uint8_t)((code[32 * g + i] >> 4) << g);
}

const oxi_format oxi_format_q5_k = {.block = 256, .block_size = Q5_K_BYTES, .group = 32, .bits = 5, .minima = true,
                                     .unit = 1.0f, .decode = decode_q5_k, .encode = encode_q5_k};

/* ql[128] | qh[64] | scales[16], signed | d. Each half of 128 weights has 64 bytes of ql and 32 of qh:
 *     weights   0-31   low nibble of ql[i],       bits 0-1 of qh[i]
 *     weights  32-63   low nibble of ql[32 + i],  bits 2-3
 *     weights  64-95   high nibble of ql[i],      bits 4-5
 *     weights 96-127   high nibble of ql[32 + i], bits 6-7 */
enum { Q6_K_BYTES = 128 + 64 + 16 + 2 };

static void decode_q6_k(const uint8_t *src, oxi_block *out)
{
    for (int half = 0; half < 2; half++) {
        const uint8_t *ql = src + 64 * half, *qh = src + 128 + 32 * half;
        uint8_t *code = out->code + 128 * half;
        for (int i = 0; i < 32; i++) {
            code[i] = (uint8_t)((ql[i] & 15) | (qh[i] & 3) << 4);
            code[32 + i] = (uint8_t)((ql[32 + i] & 15) | ((qh[i] >> 2) & 3) << 4);
            code[64 + i] = (uint8_t)((ql[i] >> 4) | ((qh[i] >> 4) & 3) << 4);
            code[96 + i] = (uint8_t)((ql[32 + i] >> 4) | (qh[i] >> 6) << 4);
        }
    }
    memcpy(out->scale, src + 192, 16);
    out->d = oxi_read_u16(src + 208);
}

static void encode_q6_k(const float *x, uint8_t *dst)
{
    float scale[16], most = 0.0f;
    for (int g = 0; g < 16; g++) {
        float extreme = 0.0f;
        for (int i = 0; i < 16; i++)
            if (fabsf(x[16 * g + i]) > fabsf(extreme)) extreme = x[16 * g + i];
        scale[g] = extreme / -32.0f;
        if (fabsf(scale[g]) > fabsf(most)) most = scale[g];
    }
    const uint16_t d = oxi_float_half(most / -128.0f);
    const float df = oxi_half_float(d);
    uint8_t code[256];
    for (int g = 0; g < 16; g++) {
        float s = df != 0.0f ? rintf(scale[g] / df) : 0.0f;
        s = s < 127.0f ? (s > -128.0f ? s : -128.0f) : 127.0f;
        const float step = df * s, inverse = step != 0.0f ? 1.0f / step : 0.0f;
        dst[192 + g] = (uint8_t)(int8_t)s;
        for (int i = 0; i < 16; i++) code[16 * g + i] = round_to(x[16 * g + i] * inverse + 32.0f, 63.0f);
    }
    memcpy(dst + 208, &d, 2);
    for (int half = 0; half < 2; half++) {
        const uint8_t *c = code + 128 * half;
        for (int i = 0; i < 32; i++) {
            dst[64 * half + i] = (uint8_t)((c[i] & 15) | (c[64 + i] & 15) << 4);
            dst[64 * half + 32 + i] = (uint8_t)((c[32 + i] & 15) | (c[96 + i] & 15) << 4);
            dst[128 + 32 * half + i] =
                (uint8_t)(c[i] >> 4 | (c[32 + i] >> 4) << 2 | (c[64 + i] >> 4) << 4 | (c[96 + i] >> 4) << 6);
        }
    }
}

const oxi_format oxi_format_q6_k = {.block = 256, .block_size = Q6_K_BYTES, .group = 16, .bits = 6, .zero = 32,
                                     .unit = 1.0f, .decode = decode_q6_k, .encode = encode_q6_k};
