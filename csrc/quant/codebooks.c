/* The IQ formats: every four or eight weights are an entry of a codebook, with signs stored beside it.
 *
 * A code is the codebook's index for one weight, with the sign (IQ1: the direction of the shift) above it, so that a table
 * of 16 values maps codes to values.
 */
#include "quant/codebook_tables.h"
#include "quant/half.h"
#include "quant/quant.h"

#include <string.h>

enum { NEGATIVE = 8 };

/* Magnitudes of the three indices, then the same negated. */
static const int8_t values_2[16] = {8, 25, 43, 0, 0, 0, 0, 0, -8, -25, -43};
static const int8_t values_3_xxs[16] = {4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62};
static const int8_t values_3_s[16] = {1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15};
/* Eight times (index - 1), shifted up by one eighth or, with the high bit, down. */
static const int8_t values_1[16] = {-7, 1, 9, 0, 0, 0, 0, 0, -9, -1, 7};

static uint16_t u16(const uint8_t *p) { return oxi_read_u16(p); }

static uint32_t u32(const uint8_t *p) { return u16(p) | (uint32_t)u16(p + 2) << 16; }

/* Seven bits of signs; the eighth makes the number of set bits even. */
static unsigned even_signs(unsigned seven) { return seven | (unsigned)(__builtin_popcount(seven) & 1) << 7; }

/* The eight weights from `at` on; bit i of `high` moves weight i into the upper half of the table. */
static void eight(const uint16_t *codebook, unsigned entry, unsigned high, int at, oxi_block *out)
{
    uint8_t *code = out->code + 8 * at;
    out->entry[at] = (uint16_t)entry;
    for (int i = 0; i < 8; i++) code[i] = (uint8_t)(((codebook[entry] >> 2 * i) & 3) | ((high >> i) & 1) * NEGATIVE);
}

static void four(const uint16_t *codebook, unsigned entry, unsigned high, int at, oxi_block *out)
{
    uint8_t *code = out->code + 4 * at;
    out->entry[at] = (uint16_t)entry;
    for (int i = 0; i < 4; i++) code[i] = (uint8_t)(((codebook[entry] >> 4 * i) & 7) | ((high >> i) & 1) * NEGATIVE);
}

static int8_t odd(unsigned s) { return (int8_t)(2 * s + 1); }

/* d | per 32 weights: four entry numbers, then a word with four times seven signs and, in its top bits, the scale */
static void decode_iq2_xxs(const uint8_t *src, oxi_block *out)
{
    out->d = u16(src);
    const uint8_t *p = src + 2;
    for (int g = 0; g < 8; g++, p += 8) {
        const uint32_t word = u32(p + 4);
        out->scale[g] = odd(word >> 28);
        for (int i = 0; i < 4; i++)
            eight(oxi_codebook_iq2_xxs, p[i], even_signs((word >> 7 * i) & 127), 4 * g + i, out);
    }
}

/* d | per 8 weights: nine bits of entry number, seven signs | sixteen scale nibbles */
static void decode_iq2_xs(const uint8_t *src, oxi_block *out)
{
    out->d = u16(src);
    for (int i = 0; i < 32; i++) {
        const uint16_t word = u16(src + 2 + 2 * i);
        eight(oxi_codebook_iq2_xs, word & 511, even_signs(word >> 9), i, out);
    }
    for (int g = 0; g < 16; g++) out->scale[g] = odd((src[66 + g / 2] >> 4 * (g % 2)) & 15);
}

/* d | low[32] | signs[32] | high[8]: two more bits of each entry number | sixteen scale nibbles */
static void decode_iq2_s(const uint8_t *src, oxi_block *out)
{
    const uint8_t *low = src + 2, *signs = low + 32, *high = signs + 32, *scales = high + 8;
    out->d = u16(src);
    for (int i = 0; i < 32; i++) {
        const unsigned entry = low[i] | (unsigned)((high[i / 4] >> 2 * (i % 4)) & 3) << 8;
        eight(oxi_codebook_iq2_s, entry, signs[i], i, out);
    }
    for (int g = 0; g < 16; g++) out->scale[g] = odd((scales[g / 2] >> 4 * (g % 2)) & 15);
}

/* d | entry[64] | per 32 weights a word with four times seven signs and, in its top bits, the scale */
static void decode_iq3_xxs(const uint8_t *src, oxi_block *out)
{
    const uint8_t *entry = src + 2;
    out->d = u16(src);
    for (int g = 0; g < 8; g++) {
        const uint32_t word = u32(src + 66 + 4 * g);
        out->scale[g] = odd(word >> 28);
        for (int i = 0; i < 8; i++) {
            const unsigned signs = even_signs((word >> 7 * (i / 2)) & 127);
            four(oxi_codebook_iq3_xxs, entry[8 * g + i], signs >> 4 * (i % 2), 8 * g + i, out);
        }
    }
}

/* d | low[64] | high[8]: one more bit of each entry number | signs[32] | eight scale nibbles */
static void decode_iq3_s(const uint8_t *src, oxi_block *out)
{
    const uint8_t *low = src + 2, *high = low + 64, *signs = high + 8, *scales = signs + 32;
    out->d = u16(src);
    for (int i = 0; i < 64; i++) {
        const unsigned entry = low[i] | (unsigned)((high[i / 8] >> i % 8) & 1) << 8;
        four(oxi_codebook_iq3_s, entry, (unsigned)signs[i / 2] >> 4 * (i % 2), i, out);
    }
    for (int g = 0; g < 8; g++) out->scale[g] = odd((scales[g / 2] >> 4 * (g % 2)) & 15);
}

/* d | low[32] | per 32 weights sixteen bits: four times three more bits of the entry number, scale, direction of shift */
static void decode_iq1_s(const uint8_t *src, oxi_block *out)
{
    const uint8_t *low = src + 2;
    out->d = u16(src);
    for (int g = 0; g < 8; g++) {
        const uint16_t word = u16(src + 34 + 2 * g);
        out->scale[g] = odd((word >> 12) & 7);
        for (int i = 0; i < 4; i++)
            eight(oxi_codebook_iq1, low[4 * g + i] | (unsigned)((word >> 3 * i) & 7) << 8, word & 0x8000 ? 255 : 0, 4 * g + i,
                  out);
    }
}

/* low[32] | high[16]: per 8 weights three more bits of the entry number and the direction | four 16-bit words, each with
 * four scales of three bits and, in its top bits, a nibble of d */
static void decode_iq1_m(const uint8_t *src, oxi_block *out)
{
    const uint8_t *high = src + 32, *words = high + 16;
    out->d = 0;
    for (int i = 0; i < 4; i++) {
        const uint16_t word = u16(words + 2 * i);
        out->d |= (uint16_t)((word >> 12) << 4 * i);
        for (int k = 0; k < 4; k++) out->scale[4 * i + k] = odd((word >> 3 * k) & 7);
    }
    for (int i = 0; i < 32; i++) {
        const unsigned nibble = (high[i / 2] >> 4 * (i % 2)) & 15;
        eight(oxi_codebook_iq1, src[i] | (nibble & 7) << 8, nibble & 8 ? 255 : 0, i, out);
    }
}

#define CODEBOOK(name, entries, columns, one_sign)                                                                     \
    static const oxi_codebook codebook_##name = {entries, columns, one_sign, oxi_codebook_##name}

CODEBOOK(iq2_xxs, 256, 8, false);
CODEBOOK(iq2_xs, 512, 8, false);
CODEBOOK(iq2_s, 1024, 8, false);
CODEBOOK(iq3_xxs, 256, 4, false);
CODEBOOK(iq3_s, 512, 4, false);
CODEBOOK(iq1, 2048, 8, true);

#define FORMAT(name, bytes, per_scale, one, table, shared, prep)                                                       \
    const oxi_format oxi_format_##name = {.block = 256, .block_size = bytes, .group = per_scale, .bits = 4, .unit = one, \
                                          .values = table, .codebook = &codebook_##shared, .decode = decode_##name,    \
                                          .encode = oxi_encode_##name, .prepare = prep}

FORMAT(iq1_s, 50, 32, 0.125f, values_1, iq1, oxi_prepare_iq1);
FORMAT(iq1_m, 56, 16, 0.125f, values_1, iq1, oxi_prepare_iq1);
FORMAT(iq2_xxs, 66, 32, 0.125f, values_2, iq2_xxs, oxi_prepare_iq2_xxs);
FORMAT(iq2_xs, 74, 16, 0.125f, values_2, iq2_xs, oxi_prepare_iq2_xs);
FORMAT(iq2_s, 82, 16, 0.125f, values_2, iq2_s, oxi_prepare_iq2_s);
FORMAT(iq3_xxs, 98, 32, 0.25f, values_3_xxs, iq3_xxs, oxi_prepare_iq3_xxs);
FORMAT(iq3_s, 110, 32, 1.0f, values_3_s, iq3_s, oxi_prepare_iq3_s);
