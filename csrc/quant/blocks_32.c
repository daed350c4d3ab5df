/* Formats with one half-precision scale, and perhaps a minimum, for 32 weights. */
#include "quant/quant.h"

#include "quant/half.h"

/* Weight i in the low nibble of byte i, weight 16 + i in the high one. */
static void decode_nibbles(const uint8_t *qs, oxi_block *out)
{
    out->scale[0] = 1;
    for (int i = 0; i < 16; i++) {
        out->code[i] = qs[i] & 15;
        out->code[16 + i] = qs[i] >> 4;
    }
}

/* d: half | qs[16] */
enum { Q4_0_BYTES = 2 + 16 };

static void decode_q4_0(const uint8_t *src, oxi_block *out)
{
    out->d = oxi_read_u16(src);
    decode_nibbles(src + 2, out);
}

const oxi_format oxi_format_q4_0 = {.block = 32, .block_size = Q4_0_BYTES, .group = 32, .bits = 4, .zero = 8,
                                     .unit = 1.0f, .decode = decode_q4_0, .encode = oxi_encode_q4_0};

/* d: half | qs[32]: signed bytes. Codes are kept unsigned: 128 is added. */
enum { Q8_0_BYTES = 2 + 32 };

static void decode_q8_0(const uint8_t *src, oxi_block *out)
{
    out->d = oxi_read_u16(src);
    out->scale[0] = 1;
    for (int i = 0; i < 32; i++) out->code[i] = src[2 + i] ^ 128;
}

const oxi_format oxi_format_q8_0 = {.block = 32, .block_size = Q8_0_BYTES, .group = 32, .bits = 8, .zero = 128,
                                     .unit = 1.0f, .decode = decode_q8_0, .encode = oxi_encode_q8_0};

/* The file holds the smallest weight; minima are subtracted, so its sign is flipped. */
static void take_smallest(const uint8_t *src, oxi_block *out)
{
    out->dmin = oxi_read_u16(src) ^ 0x8000u;
    out->minimum[0] = 1;
}

/* Bit i of the word is the fifth bit of weight i. */
static void add_fifth_bits(const uint8_t *qh, oxi_block *out)
{
    for (int i = 0; i < 32; i++) out->code[i] |= (uint8_t)(((qh[i / 8] >> i % 8) & 1) << 4);
}

/* d | smallest: halves | qs[16] */
static void decode_q4_1(const uint8_t *src, oxi_block *out)
{
    out->d = oxi_read_u16(src);
    take_smallest(src + 2, out);
    decode_nibbles(src + 4, out);
}

/* d | qh[4] | qs[16] */
static void decode_q5_0(const uint8_t *src, oxi_block *out)
{
    out->d = oxi_read_u16(src);
    decode_nibbles(src + 6, out);
    add_fifth_bits(src + 2, out);
}

/* d | smallest | qh[4] | qs[16] */
static void decode_q5_1(const uint8_t *src, oxi_block *out)
{
    out->d = oxi_read_u16(src);
    take_smallest(src + 2, out);
    decode_nibbles(src + 8, out);
    add_fifth_bits(src + 4, out);
}

/* d | d * sum of qs, which decoding does not need | qs[32]: signed bytes */
static void decode_q8_1(const uint8_t *src, oxi_block *out)
{
    out->d = oxi_read_u16(src);
    out->scale[0] = 1;
    for (int i = 0; i < 32; i++) out->code[i] = src[4 + i] ^ 128;
}

const oxi_format oxi_format_q4_1 = {.block = 32, .block_size = 20, .group = 32, .bits = 4, .minima = true, .unit = 1.0f,
                                    .decode = decode_q4_1, .encode = oxi_encode_q4_1};
const oxi_format oxi_format_q5_0 = {.block = 32, .block_size = 22, .group = 32, .bits = 5, .zero = 16, .unit = 1.0f,
                                    .decode = decode_q5_0, .encode = oxi_encode_q5_0};
const oxi_format oxi_format_q5_1 = {.block = 32, .block_size = 24, .group = 32, .bits = 5, .minima = true, .unit = 1.0f,
                                    .decode = decode_q5_1, .encode = oxi_encode_q5_1};
const oxi_format oxi_format_q8_1 = {.block = 32, .block_size = 36, .group = 32, .bits = 8, .zero = 128, .unit = 1.0f,
                                    .decode = decode_q8_1};
