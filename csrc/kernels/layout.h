/* Packed weights and prepared activations, drawn. Private to kernels/.
 *
 * Everything runs in chunks of 256 columns (the last one of a row may be shorter), cut into groups of 32.
 *
 * A panel is its chunks one after the other. A chunk is the codes of its groups, then the tail: scales and minima.
 *
 *   codes of a group, 64-byte registers, lane = row (0..15), byte in lane = column mod 4:
 *     code register i, i = 0..7, holds columns 4i..4i+3 of the group.
 *     4-bit plane   4 registers: register j = code register j in the low nibbles, code register 4 + j in the high ones
 *     + 1-bit plane 1 register: bit i of each byte is bit 4 of code register i
 *     + 2-bit plane 2 registers: bits 2(i % 4).. of register i / 4 are bits 4 and 5 of code register i
 *     8-bit         8 registers: the codes
 *
 *   tail of Q4_32, Q8_32:   half d[group][16 rows]
 *   tail of Q4_256, Q5_256: 6-bit scales and minima. Let S[128] be the scales as [group][row], M[128] the minima as
 *                           [group / 2][row][group % 2] (pairs side by side, as a 16-bit multiply-add wants them):
 *                             low[128]   S low nibble | M low nibble << 4
 *                             high[64]   S[k] >> 4 | (M[k] >> 4) << 2 | (S[64+k] >> 4) << 4 | (M[64+k] >> 4) << 6
 *                           half d[16 rows], half dmin[16 rows]
 *   tail of Q6_256:         int8 scale[16 groups of 16 columns][16 rows], half d[16 rows]
 *
 * All of these take exactly the bytes that the file format takes.
 *
 * Prepared activations are records of one chunk of one token, ordered [chunk][token]. OXI_ACT_F32: 256 floats, zeros past
 * n_cols. The others: oxi_act_record. OXI_ACT_PADDING more records may be read, and what they hold does not matter.
 */
#ifndef OXI_LAYOUT_H
#define OXI_LAYOUT_H

#include "kernels.h"

#define OXI_CHUNK 256
#define OXI_GROUP 32
#define OXI_CHUNK_GROUPS (OXI_CHUNK / OXI_GROUP)
#define OXI_ACT_PADDING 7

typedef struct oxi_act_record {
    int8_t q[OXI_CHUNK];    /* -127..127 */
    float d[8];             /* Q8_32: one per group of 32. Q8_256: d[0]. NaN where the input was not finite. */
    int32_t negsum[16];     /* minus the sum of q. Q8_32: per 32 columns, 8 of them. Q8_256: per 16 columns. */
    int16_t sum[8];         /* sum of q per 32 columns */
    uint8_t pad[16];        /* whole cache lines */
} oxi_act_record;

_Static_assert(sizeof(oxi_act_record) == 384, "records are whole cache lines");

enum {
    OXI_K_TAIL_LOW = 0, OXI_K_TAIL_HIGH = 128, OXI_K_TAIL_D = 192, OXI_K_TAIL_DMIN = 224, OXI_K_TAIL_BYTES = 256,
    OXI_Q6_TAIL_D = 256, OXI_Q6_TAIL_BYTES = 288,
};

/* Bytes of one group's codes. */
static inline size_t oxi_group_bytes(oxi_pack pack)
{
    switch (pack) {
    case OXI_PACK_Q4_32: case OXI_PACK_Q4_256: return 256;
    case OXI_PACK_Q5_256: return 320;
    case OXI_PACK_Q6_256: return 384;
    case OXI_PACK_Q8_32: return 512;
    default: return 0;
    }
}

/* Bytes of a whole chunk of n_groups. */
static inline size_t oxi_chunk_bytes(oxi_pack pack, int n_groups)
{
    const size_t codes = oxi_group_bytes(pack) * (size_t)n_groups;
    switch (pack) {
    case OXI_PACK_Q4_32: case OXI_PACK_Q8_32: return codes + 32 * (size_t)n_groups;
    case OXI_PACK_Q4_256: case OXI_PACK_Q5_256: return codes + OXI_K_TAIL_BYTES;
    case OXI_PACK_Q6_256: return codes + OXI_Q6_TAIL_BYTES;
    default: return 0;
    }
}

/* Zero points are powers of two, so a shift of the negated sum is the correction. Minus 1: there is none. */
static inline int oxi_zero_shift(oxi_pack pack)
{
    switch (pack) {
    case OXI_PACK_Q4_32: return 3;
    case OXI_PACK_Q8_32: return 7;
    case OXI_PACK_Q6_256: return 5;
    default: return -1;
    }
}

static inline int64_t oxi_n_chunks(int64_t n_cols) { return (n_cols + OXI_CHUNK - 1) / OXI_CHUNK; }

/* Columns of chunk c. */
static inline int oxi_chunk_cols(int64_t n_cols, int64_t c)
{
    const int64_t left = n_cols - c * OXI_CHUNK;
    return (int)(left < OXI_CHUNK ? left : OXI_CHUNK);
}

#endif
