/* Formats whose 4-bit codes stand for the values of a table. */
#include "quant/half.h"
#include "quant/quant.h"
#include "quant/tables_4.h"

/* Spaced for bell-shaped weights. */
const int8_t oxi_values_nl[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
/* Twice the values of a float with two bits of exponent and one of mantissa (OCP microscaling formats, E2M1). */
const int8_t oxi_values_e2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* `half` bytes: weight i in the low nibble of byte i, weight half + i in the high one. */
static void nibbles(const uint8_t *qs, int half, uint8_t *code)
{
    for (int i = 0; i < half; i++) {
        code[i] = qs[i] & 15;
        code[half + i] = qs[i] >> 4;
    }
}

/* d: half | qs[16] */
static void decode_iq4_nl(const uint8_t *src, oxi_block *out)
{
    out->d = oxi_read_u16(src);
    out->scale[0] = 1;
    nibbles(src + 2, 16, out->code);
}

/* d: half | two high bits of eight scales | eight low nibbles of scales | qs[128], sixteen bytes per 32 weights */
static void decode_iq4_xs(const uint8_t *src, oxi_block *out)
{
    const uint16_t high = oxi_read_u16(src + 2);
    out->d = oxi_read_u16(src);
    for (int g = 0; g < 8; g++) {
        const int low = (src[4 + g / 2] >> 4 * (g % 2)) & 15;
        out->scale[g] = (int8_t)((low | ((high >> 2 * g) & 3) << 4) - 32);
        nibbles(src + 8 + 16 * g, 16, out->code + 32 * g);
    }
}

/* e: E8M0 exponent | qs[16] */
static void decode_mxfp4(const uint8_t *src, oxi_block *out)
{
    out->wide[0] = oxi_half_of_e8m0(src[0]);
    nibbles(src + 1, 16, out->code);
}

/* four scales, UE4M3, one per 16 weights | qs[32], eight bytes per 16 weights */
static void decode_nvfp4(const uint8_t *src, oxi_block *out)
{
    for (int g = 0; g < 4; g++) {
        out->wide[g] = oxi_half_of_ue4m3(src[g]);
        nibbles(src + 4 + 8 * g, 8, out->code + 16 * g);
    }
}

const oxi_format oxi_format_iq4_nl = {.block = 32, .block_size = 18, .group = 32, .bits = 4, .unit = 1.0f,
                                      .values = oxi_values_nl, .decode = decode_iq4_nl,
                                      .encode = oxi_encode_iq4_nl, .prepare = oxi_prepare_nl};
const oxi_format oxi_format_iq4_xs = {.block = 256, .block_size = 136, .group = 32, .bits = 4, .unit = 1.0f,
                                      .values = oxi_values_nl, .decode = decode_iq4_xs,
                                      .encode = oxi_encode_iq4_xs, .prepare = oxi_prepare_nl};
const oxi_format oxi_format_mxfp4 = {.block = 32, .block_size = 17, .group = 32, .bits = 4, .wide = true, .unit = 1.0f,
                                     .values = oxi_values_e2m1, .decode = decode_mxfp4,
                                      .encode = oxi_encode_mxfp4, .prepare = oxi_prepare_e2m1};
const oxi_format oxi_format_nvfp4 = {.block = 64, .block_size = 36, .group = 16, .bits = 4, .wide = true, .unit = 1.0f,
                                     .values = oxi_values_e2m1, .decode = decode_nvfp4,
                                      .encode = oxi_encode_nvfp4, .prepare = oxi_prepare_e2m1};
