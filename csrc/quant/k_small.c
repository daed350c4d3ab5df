/* The super-block formats of two, three and eight bits. */
#include "quant/half.h"
#include "quant/quant.h"

#include <string.h>

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
