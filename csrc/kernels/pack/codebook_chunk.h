/* Codebook matrices, small in memory: a chunk holds indices of entries, and signs. An isa that can look entries up as fast
 * as memory delivers their indices turns them into codes in registers on every read. For other isas a matrix is decoded
 * once, when it is packed, into the pack that the codes make (layout.h). A decoder does that for one chunk.
 *
 * A chunk has 256 columns (never fewer) and 16 rows. Its scales come first, as in all packs (layout.h):
 *     scales  a scale is 2 s + 1: the first half of all s in low nibbles, the second half in high ones, rows side by side
 *     d       half d
 *     low     the low 8 bits of the indices. Codebooks of eight columns: 64 bytes per group of 32 columns, with
 *             rows 4q..4q+3 in the sixteen bytes at 16q: [half of the group][row][entry of the half]. Codebooks of four
 *             columns: 128 bytes per group, [half][row][entry of the half].
 *     signs   64 bytes per group: a plane of one bit (layout.h). Where an entry's codes have one sign: 8 bytes per group,
 *             whose bit l is the sign of entry l in `low`.
 *     high    bits 8 and 9 of the indices, for each 64 bytes of `low` one after the other: 8 bytes, bit l for byte l.
 *             For a codebook of 2048 entries the entries themselves are kept (16 bits instead of 11): their high
 *             bytes, laid out like `low`. Looking that many up in registers takes four times as long as reading them.
 */
#ifndef OXI_CODEBOOK_CHUNK_H
#define OXI_CODEBOOK_CHUNK_H

#include "kernels/pack/layout.h"

#include "quant/quant.h"

#define OXI_CODEBOOK_TABLE_BYTES 2048 /* both bytes of 1024 entries */
#define OXI_DECODED_BYTES 2304       /* the largest decoded chunk, in whole cache lines */

static inline bool oxi_codebook_keeps_entries(const oxi_codebook *codebook) { return codebook->n > 1024; }

typedef struct oxi_codebook_layout {
    int high_bits;
    size_t scales, d, low, signs, high, bytes;
} oxi_codebook_layout;

static inline oxi_codebook_layout oxi_codebook_layout_of(const oxi_codebook *codebook, int group)
{
    const size_t registers = codebook->columns == 8 ? OXI_CHUNK_GROUPS : 2 * OXI_CHUNK_GROUPS;
    oxi_codebook_layout p = {.high_bits = codebook->n == 256 ? 0 : codebook->n == 512 ? 1 : codebook->n == 1024 ? 2 : 8};
    p.d = p.scales + (size_t)(OXI_CHUNK / group) * OXI_PANEL / 2;
    p.low = p.d + 2 * OXI_PANEL;
    p.signs = p.low + 64 * registers;
    p.high = p.signs + (codebook->one_sign ? 8 : 64) * OXI_CHUNK_GROUPS;
    p.bytes = p.high + 8 * (size_t)p.high_bits * registers;
    return p;
}

/* Which byte of a group's `low` holds the entry of a column (0..31). */
static inline int oxi_codebook_byte(const oxi_codebook *codebook, int row, int column)
{
    const int half = column / 16, entry = column % 16 / codebook->columns;
    return codebook->columns == 8 ? row / 4 * 16 + half * 8 + row % 4 * 2 + entry : half * 64 + row * 4 + entry;
}

/* Store sixteen rows of one chunk in `dst`: indices, codes whose bit 3 is the sign, scales (per group), halves d. */
void oxi_codebook_pack(const oxi_codebook *codebook, int group, const uint16_t (*entry)[OXI_MAX_ENTRIES],
                       const uint8_t (*code)[OXI_CHUNK], const int8_t (*scale)[OXI_PANEL], const uint16_t *d, uint8_t *dst);

#endif
