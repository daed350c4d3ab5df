/* Packed weights and quantised activations, drawn. Private to kernels/.
 *
 * Everything is in chunks of 256 columns (the last one of a row may be shorter), cut into groups of 32.
 *
 * A panel is its chunks in order. A chunk is its factors (scales and minima), then the codes of its groups. So a product reads
 * addresses in ascending order: it needs the factors first. With the factors behind the codes, a processor that prefetches
 * ascending lines (Zen 4) read a fifth less.
 *
 *   codes of a group, 64-byte registers, lane = row (0..15):
 *     code register 4h + k (h = 0, 1; k = 0..3) holds columns 16h + k, + 4, + 8, + 12 of the group, so that the bits of
 *     four neighbours (registers 4h .. 4h + 3) meet in one byte of a 2-bit plane, as entries of codebooks need. Quantised
 *     activations lie in the same order. Codes of fewer bits than eight lie in planes, the lower bits first; b bits take
 *     b registers:
 *     8-bit plane   8 registers: the codes
 *     4-bit plane   4 registers: register j = code register j in the low nibbles, code register 4 + j in the high ones
 *     2-bit plane   2 registers: bits 2(i % 4).. of register i / 4 are code register i's
 *     1-bit plane   1 register: bit i of each byte is code register i's
 *     so 6 bits are 4 + 2, 5 are 4 + 1, 3 are 2 + 1. A format with a table looks its codes up in the matrix's 16 values.
 *
 *   factors, rows always 16 side by side:
 *     HALF         half d[span], a span being 32, 64 or 128 columns
 *     HALF_MIN     per 32 columns: half d, half minimum
 *     E8M0         per 32 columns: a byte e, meaning 2^(e - 128)
 *     E4M3         per 16 columns: a byte with four bits of exponent and three of mantissa, half of what it means there
 *     INT8         int8 scale[per 32 or 16 columns], then half d
 *     SIX_BIT      6-bit scales and minima. Let S[128] be the scales as [group][row], M[128] the minima as
 *                  [group / 2][row][group % 2] (pairs side by side, as a 16-bit multiply-add wants them):
 *                    low[128]   S low nibble | M low nibble << 4
 *                    high[64]   S[k] >> 4 | (M[k] >> 4) << 2 | (S[64+k] >> 4) << 4 | (M[64+k] >> 4) << 6
 *                  half d, half dmin
 *     FOUR_BIT     4-bit scales and minima per 16: S[256] | M[256] << 4, in the orders of SIX_BIT; half d, half dmin
 *     FLOAT        float d, for the whole chunk
 *
 * Quantised activations are records of one chunk of one token, ordered [chunk][token]. OXI_ACT_F32: 256 floats, zeros past
 * n_cols. OXI_ACT_BF16: the same, or an isa's own rounded form in no more bytes. The others: oxi_act_record.
 * Kernels may read OXI_ACT_PADDING more records, whose content does not matter.
 */
#ifndef OXI_LAYOUT_H
#define OXI_LAYOUT_H

#include "kernels/pack/matrix.h"

#define OXI_CHUNK 256
#define OXI_GROUP 32
#define OXI_CHUNK_GROUPS (OXI_CHUNK / OXI_GROUP)
#define OXI_ACT_PADDING 7

typedef struct oxi_act_record {
    int8_t q[OXI_CHUNK];    /* -127..127; in the order of code registers */
    int32_t start16[16];    /* minus OXI_ACT_ZERO times the sum of q per 16 columns: where integer sums start */
    int32_t start32[8];     /* per 32 */
    union {
        float d[8];         /* Q8_32: one per group of 32. Q8_256: d[0]. NaN where the input was not finite. */
        struct {            /* of Q8_256 alone: */
            float d_all;
            int32_t start256;
            int16_t sum32[8]; /* the sum of q per 32 columns */
        };
    };
    int16_t sum16[16];      /* of Q8_256 alone: and per 16 */
    uint8_t unused[32];
} oxi_act_record;

/* The code that stands for zero in the widest codes; narrower codes use it shifted. */
enum { OXI_ACT_ZERO_SHIFT = 7, OXI_ACT_ZERO = 1 << OXI_ACT_ZERO_SHIFT };

_Static_assert(sizeof(oxi_act_record) == 448, "records are whole cache lines");

typedef enum oxi_factors {
    OXI_FACTORS_HALF, OXI_FACTORS_HALF_MIN, OXI_FACTORS_E8M0, OXI_FACTORS_E4M3, OXI_FACTORS_INT8, OXI_FACTORS_SIX_BIT, OXI_FACTORS_FOUR_BIT,
    OXI_FACTORS_FLOAT
} oxi_factors;

/* How a quantised pack lies in memory and what its codes mean. */
typedef struct oxi_pack_traits {
    uint8_t bits;       /* of a code in memory */
    uint8_t group;      /* columns that share a scale in the product: 16 or 32 */
    uint8_t span;       /* columns that share a scale in memory, where that is more */
    int8_t zero_shift;  /* 1 << zero_shift is the code that stands for zero; minus 1: code 0 does */
    bool table;         /* codes are looked up; what comes out is a value plus 128 */
    oxi_factors factors;
    oxi_act act;
    bool whole;         /* scales are small whole numbers, or 1: so is a chunk's sum, until d is multiplied in. It is below
                           2^24, where floats and integers, in any order, give the same */
} oxi_pack_traits;

/* 1-bit codes are read as 0 and 2, so that the zero between them is an integer. */
static const oxi_pack_traits oxi_traits[OXI_PACK_COUNT] = {
    [OXI_PACK_BF16] = {.act = OXI_ACT_BF16},
    [OXI_PACK_Q4_32] = {4, 32, 32, 3, false, OXI_FACTORS_HALF, OXI_ACT_Q8_256},
    [OXI_PACK_Q8_32] = {8, 32, 32, 7, false, OXI_FACTORS_HALF, OXI_ACT_Q8_32},
    [OXI_PACK_Q4_256] = {4, 32, 32, -1, false, OXI_FACTORS_SIX_BIT, OXI_ACT_Q8_256},
    [OXI_PACK_Q5_256] = {5, 32, 32, -1, false, OXI_FACTORS_SIX_BIT, OXI_ACT_Q8_256},
    [OXI_PACK_Q6_256] = {6, 16, 16, 5, false, OXI_FACTORS_INT8, OXI_ACT_Q8_256},
    [OXI_PACK_Q5_32] = {5, 32, 32, 4, false, OXI_FACTORS_HALF, OXI_ACT_Q8_32},
    [OXI_PACK_Q4_32_MIN] = {4, 32, 32, -1, false, OXI_FACTORS_HALF_MIN, OXI_ACT_Q8_32},
    [OXI_PACK_Q5_32_MIN] = {5, 32, 32, -1, false, OXI_FACTORS_HALF_MIN, OXI_ACT_Q8_32},
    [OXI_PACK_T4_32] = {4, 32, 32, 7, true, OXI_FACTORS_HALF, OXI_ACT_Q8_32},
    [OXI_PACK_T4_E8M0] = {4, 32, 32, 7, true, OXI_FACTORS_E8M0, OXI_ACT_Q8_32},
    [OXI_PACK_T4_E4M3] = {4, 16, 16, 7, true, OXI_FACTORS_E4M3, OXI_ACT_Q8_32},
    [OXI_PACK_T4_256] = {4, 32, 32, 7, true, OXI_FACTORS_INT8, OXI_ACT_Q8_256},
    [OXI_PACK_T3_256] = {3, 32, 32, 7, true, OXI_FACTORS_INT8, OXI_ACT_Q8_256},
    [OXI_PACK_T3_256_16] = {3, 16, 16, 7, true, OXI_FACTORS_INT8, OXI_ACT_Q8_256},
    [OXI_PACK_Q3_256_16] = {3, 16, 16, 2, false, OXI_FACTORS_INT8, OXI_ACT_Q8_256, .whole = true},
    [OXI_PACK_Q2_256_16] = {2, 16, 16, -1, false, OXI_FACTORS_FOUR_BIT, OXI_ACT_Q8_256, .whole = true},
    [OXI_PACK_Q2_64] = {2, 32, 64, 0, false, OXI_FACTORS_HALF, OXI_ACT_Q8_32},
    [OXI_PACK_Q1_128] = {1, 32, 128, 0, false, OXI_FACTORS_HALF, OXI_ACT_Q8_32},
    [OXI_PACK_Q8_256] = {8, 32, 32, 7, false, OXI_FACTORS_FLOAT, OXI_ACT_Q8_256, .whole = true},
};

/* Offsets in the factors of a whole chunk. */
enum {
    OXI_SIX_HIGH = 128, OXI_SIX_D = 192, OXI_SIX_DMIN = 224, OXI_SIX_BYTES = 256,
    OXI_FOUR_D = 256, OXI_FOUR_DMIN = 288, OXI_FOUR_BYTES = 320,
};

/* Offset of d after the small scales of INT8. */
static inline int oxi_int8_d(oxi_pack pack) { return OXI_CHUNK / oxi_traits[pack].group * OXI_PANEL; }

static inline size_t oxi_factor_bytes(oxi_pack pack, int n_groups)
{
    const size_t groups = (size_t)n_groups;
    switch (oxi_traits[pack].factors) {
    case OXI_FACTORS_HALF: return groups * OXI_GROUP / oxi_traits[pack].span * 2 * OXI_PANEL;
    case OXI_FACTORS_HALF_MIN: return groups * 4 * OXI_PANEL;
    case OXI_FACTORS_E8M0: return groups * OXI_PANEL;
    case OXI_FACTORS_E4M3: return groups * 2 * OXI_PANEL;
    case OXI_FACTORS_INT8: return (size_t)oxi_int8_d(pack) + 2 * OXI_PANEL;
    case OXI_FACTORS_SIX_BIT: return OXI_SIX_BYTES;
    case OXI_FACTORS_FOUR_BIT: return OXI_FOUR_BYTES;
    case OXI_FACTORS_FLOAT: return 4 * OXI_PANEL;
    }
    return 0;
}

/* Bytes of one group's codes, and of a whole chunk of n_groups. */
static inline size_t oxi_group_bytes(oxi_pack pack) { return 64 * (size_t)oxi_traits[pack].bits; }

static inline size_t oxi_chunk_bytes(oxi_pack pack, int n_groups)
{
    return oxi_group_bytes(pack) * (size_t)n_groups + oxi_factor_bytes(pack, n_groups);
}

static inline int64_t oxi_n_chunks(int64_t n_cols) { return (n_cols + OXI_CHUNK - 1) / OXI_CHUNK; }

/* Columns of chunk c. */
static inline int oxi_chunk_cols(int64_t n_cols, int64_t c)
{
    const int64_t left = n_cols - c * OXI_CHUNK;
    return (int)(left < OXI_CHUNK ? left : OXI_CHUNK);
}

#endif
