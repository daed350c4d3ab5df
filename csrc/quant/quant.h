/* File formats: what one block of weights holds. A format states how its bytes become codes, scales and minima, and
 * nothing else; the dequantiser, the packer and the tests all come from that one statement.
 *
 *     weight[i] = (d * scale[i / group]) * (code[i] - zero) - (dmin * minimum[i / group])
 *
 * in float32, rounded after every operation, in this order: bit for bit what the reference decoders compute.
 */
#ifndef OXI_QUANT_H
#define OXI_QUANT_H

#include "oxillama.h"

#define OXI_MAX_BLOCK 256
#define OXI_MAX_GROUPS 16

/* One block of one row. Formats with a single scale leave scale[0] = 1; without minima dmin and minimum stay unread. */
typedef struct oxi_block {
    uint8_t code[OXI_MAX_BLOCK];
    int8_t scale[OXI_MAX_GROUPS];
    uint8_t minimum[OXI_MAX_GROUPS];
    uint16_t d, dmin; /* halves, as in the file */
} oxi_block;

typedef struct oxi_format {
    uint16_t block;      /* weights per block */
    uint16_t block_size; /* bytes per block */
    uint8_t group;       /* weights that share a scale */
    uint8_t bits;        /* codes are below 1 << bits */
    uint8_t zero;
    bool minima;
    void (*decode)(const uint8_t *src, oxi_block *out);
    /* Round block weights to the format; all are finite. */
    void (*encode)(const float *src, uint8_t *dst);
} oxi_format;

/* NULL: not a block format this build knows (floats are not block formats). */
const oxi_format *oxi_format_of(uint32_t type);

extern const oxi_format oxi_format_q4_0, oxi_format_q8_0;                 /* blocks_32.c */
extern const oxi_format oxi_format_q4_k, oxi_format_q5_k, oxi_format_q6_k; /* k_quants.c */

#endif
