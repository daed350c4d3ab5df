/* Super-blocks of 256 weights: half-precision scales for the whole block, small integer scales for groups of 16 or 32. */
#include "quant/quant.h"

#include "quant/half.h"

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
