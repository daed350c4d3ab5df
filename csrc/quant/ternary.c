/* Formats of one and two bits: a sign, or -1, 0 and 1. */
#include "quant/half.h"
#include "quant/quant.h"

/* Five base-3 digits per byte, stored as a fraction of 243 scaled to 256: an 8-bit multiplication by 3^k brings digit k
 * to the top. */
static uint8_t digit(uint8_t byte, int k)
{
    static const uint8_t power[5] = {1, 3, 9, 27, 81};
    const uint8_t moved = (uint8_t)(byte * power[k]);
    return (uint8_t)(moved * 3 >> 8);
}

/* qs[48] | qh[4] | d. In qs, 32 bytes hold the digits of 160 weights and 16 bytes those of 80; in qh, 4 bytes those of
 * 16. */
static void decode_tq1_0(const uint8_t *src, oxi_block *out)
{
    out->d = oxi_read_u16(src + 52);
    out->scale[0] = 1;
    for (int k = 0; k < 5; k++) {
        for (int i = 0; i < 32; i++) out->code[32 * k + i] = digit(src[i], k);
        for (int i = 0; i < 16; i++) out->code[160 + 16 * k + i] = digit(src[32 + i], k);
    }
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 4; i++) out->code[240 + 4 * k + i] = digit(src[48 + i], k);
}

/* qs[64] | d: four weights, 32 apart, per byte */
static void decode_tq2_0(const uint8_t *src, oxi_block *out)
{
    out->d = oxi_read_u16(src + 64);
    out->scale[0] = 1;
    for (int i = 0; i < 256; i++) out->code[i] = (src[i / 128 * 32 + i % 32] >> 2 * (i % 128 / 32)) & 3;
}

/* d | one bit per weight: set is +d, clear is -d */
static void decode_q1_0(const uint8_t *src, oxi_block *out)
{
    out->d = oxi_read_u16(src);
    out->scale[0] = 1;
    for (int i = 0; i < 128; i++) out->code[i] = (src[2 + i / 8] >> i % 8) & 1;
}

/* d | two bits per weight: -1, 0, 1, 2 */
static void decode_q2_0(const uint8_t *src, oxi_block *out)
{
    out->d = oxi_read_u16(src);
    out->scale[0] = 1;
    for (int i = 0; i < 64; i++) out->code[i] = (src[2 + i / 4] >> 2 * (i % 4)) & 3;
}

static const int8_t values_sign[2] = {-1, 1};

const oxi_format oxi_format_tq1_0 = {.block = 256, .block_size = 54, .group = 256, .bits = 2, .zero = 1, .unit = 1.0f,
                                     .decode = decode_tq1_0, .encode = oxi_encode_tq1_0};
const oxi_format oxi_format_tq2_0 = {.block = 256, .block_size = 66, .group = 256, .bits = 2, .zero = 1, .unit = 1.0f,
                                     .decode = decode_tq2_0, .encode = oxi_encode_tq2_0};
const oxi_format oxi_format_q1_0 = {.block = 128, .block_size = 18, .group = 128, .bits = 1, .unit = 1.0f,
                                    .values = values_sign, .decode = decode_q1_0, .encode = oxi_encode_q1_0};
const oxi_format oxi_format_q2_0 = {.block = 64, .block_size = 18, .group = 64, .bits = 2, .zero = 1, .unit = 1.0f,
                                    .decode = decode_q2_0, .encode = oxi_encode_q2_0};
