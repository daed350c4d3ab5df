/* Super-blocks of 256 weights: half-precision scales for the whole block, small integer scales for groups of 16 or 32. */
#include "quant/half.h"
#include "quant/quant.h"

#include <string.h>

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

/* Each pair of groups shares 32 bytes: the first group is in the low nibbles. */
static void decode_nibbles(const uint8_t *qs, uint8_t *code)
{
    for (int pair = 0; pair < 4; pair++)
        for (int i = 0; i < 32; i++) {
            code[64 * pair + i] = qs[32 * pair + i] & 15;
            code[64 * pair + 32 + i] = qs[32 * pair + i] >> 4;
        }
}

/* d | dmin | scales | qs[128] */
static void decode_q4_k(const uint8_t *src, oxi_block *out)
{
    out->d = oxi_read_u16(src);
    out->dmin = oxi_read_u16(src + 2);
    decode_scales(src + 4, out);
    decode_nibbles(src + 4 + K_SCALES, out->code);
}

const oxi_format oxi_format_q4_k = {.block = 256, .block_size = Q4_K_BYTES, .group = 32, .bits = 4, .minima = true,
                                     .unit = 1.0f, .decode = decode_q4_k, .encode = oxi_encode_q4_k};

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

const oxi_format oxi_format_q5_k = {.block = 256, .block_size = Q5_K_BYTES, .group = 32, .bits = 5, .minima = true,
                                     .unit = 1.0f, .decode = decode_q5_k, .encode = oxi_encode_q5_k};

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

const oxi_format oxi_format_q6_k = {.block = 256, .block_size = Q6_K_BYTES, .group = 16, .bits = 6, .zero = 32,
                                     .unit = 1.0f, .decode = decode_q6_k, .encode = oxi_encode_q6_k};

/* sixteen bytes: scale in the low nibble, minimum in the high one | qs[64]: four weights, 32 apart, per byte | d | dmin */
static void decode_q2_k(const uint8_t *src, oxi_block *out)
{
    const uint8_t *qs = src + 16;
    for (int g = 0; g < 16; g++) {
        out->scale[g] = src[g] & 15;
        out->minimum[g] = src[g] >> 4;
    }
    for (int i = 0; i < 256; i++) out->code[i] = (qs[i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32)) & 3;
    out->d = oxi_read_u16(src + 80);
    out->dmin = oxi_read_u16(src + 82);
}

/* high[32]: bit i / 32 of byte i % 32 is weight i's third bit | qs[64] | twelve bytes of 6-bit scales, stored plus 32:
 * bytes 0-7 hold the low nibbles of scales 0-7 and, above them, of 8-15; byte 8 + i % 4 holds two high bits each | d */
static void decode_q3_k(const uint8_t *src, oxi_block *out)
{
    const uint8_t *high = src, *qs = src + 32, *scales = src + 96;
    for (int i = 0; i < 256; i++) {
        const int low = (qs[i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32)) & 3;
        out->code[i] = (uint8_t)(low | ((high[i % 32] >> i / 32) & 1) << 2);
    }
    for (int g = 0; g < 16; g++) {
        const int low = (scales[g % 8] >> 4 * (g / 8)) & 15, top = (scales[8 + g % 4] >> 2 * (g / 4)) & 3;
        out->scale[g] = (int8_t)((low | top << 4) - 32);
    }
    out->d = oxi_read_u16(src + 108);
}

/* d: float | qs[256]: signed bytes | sums of sixteen, which decoding does not need */
static void decode_q8_k(const uint8_t *src, oxi_block *out)
{
    memcpy(&out->wide[0], src, sizeof(float));
    for (int i = 0; i < 256; i++) out->code[i] = src[4 + i] ^ 128;
}

const oxi_format oxi_format_q2_k = {.block = 256, .block_size = 84, .group = 16, .bits = 2, .minima = true, .unit = 1.0f,
                                    .decode = decode_q2_k, .encode = oxi_encode_q2_k};
const oxi_format oxi_format_q3_k = {.block = 256, .block_size = 110, .group = 16, .bits = 3, .zero = 4, .unit = 1.0f,
                                    .decode = decode_q3_k, .encode = oxi_encode_q3_k};
const oxi_format oxi_format_q8_k = {.block = 256, .block_size = 292, .group = 256, .bits = 8, .zero = 128, .wide = true,
                                    .unit = 1.0f, .decode = decode_q8_k};
