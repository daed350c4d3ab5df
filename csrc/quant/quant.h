/* File formats: the content of one block of weights. A format defines only how its bytes become codes, scales and minima.
 * The dequantiser, the packer and the tests all use that one definition.
 *
 *     weight[i] = (d * unit * scale[i / group]) * value(code[i]) - (dmin * minimum[i / group])
 *
 * where value(c) is c - zero, or values[c] for formats with a table. It is computed in float32, in this order, and rounded
 * after every operation: bit for bit what the reference decoders compute.
 */
#ifndef OXI_QUANT_H
#define OXI_QUANT_H

#include "quant/encode/encode.h"
#include "oxillama_types.h"

#define OXI_MAX_BLOCK 256
#define OXI_MAX_GROUPS 16
#define OXI_WIDE_GROUPS 4
#define OXI_MAX_ENTRIES 64

/* One block of one row. Formats with a single scale leave scale[0] = 1; formats without minima leave dmin and minimum
 * unread. */
typedef struct oxi_block {
    uint8_t code[OXI_MAX_BLOCK];
    int8_t scale[OXI_MAX_GROUPS];
    uint8_t minimum[OXI_MAX_GROUPS];
    uint16_t entry[OXI_MAX_ENTRIES]; /* formats with a codebook: the entries that the codes come from */
    uint16_t d, dmin;                /* halves, as in the file */
    float wide[OXI_WIDE_GROUPS];     /* in formats whose scales are not halves: one per group, instead of d and scale */
} oxi_block;

/* A codebook. Bit 3 of a code belongs to its weight; the other bits are the entry's. */
typedef struct oxi_codebook {
    uint16_t n;              /* entries: 256, 512, 1024 or 2048 */
    uint8_t columns;         /* codes per entry: 8 of two bits, or 4 of three bits in a nibble each; the first is lowest */
    bool one_sign;           /* the codes of an entry have bit 3 in common */
    const uint16_t *entries;
} oxi_codebook;

typedef struct oxi_format {
    uint16_t block;           /* weights per block */
    uint16_t block_size;      /* bytes per block */
    uint16_t group;           /* weights that share a scale */
    uint8_t bits;             /* codes are below 1 << bits */
    uint8_t zero;
    bool minima;
    bool wide;                /* the scales are in `wide` */
    float unit;               /* a power of two, so that multiplying d by it is exact */
    const int8_t *values;     /* NULL, or what each code stands for (then `zero` is 0) */
    const oxi_codebook *codebook; /* NULL: each code stands alone */
    void (*decode)(const uint8_t *src, oxi_block *out);
    oxi_encode *encode;       /* NULL: the type has no quantiser */
    oxi_prepare *prepare;     /* NULL: `encode` needs nothing prepared */
} oxi_format;

/* NULL: not a block format that this build knows (floats are not block formats). */
const oxi_format *oxi_format_of(uint32_t type);
/* "DOING weights of type NAME is not supported". */
oxi_status oxi_type_unsupported(uint32_t type, const char *doing, oxi_error *err);

extern const oxi_format oxi_format_q4_0, oxi_format_q4_1, oxi_format_q5_0, oxi_format_q5_1, oxi_format_q8_0,
    oxi_format_q8_1; /* blocks_32.c */
extern const oxi_format oxi_format_q2_k, oxi_format_q3_k, oxi_format_q4_k, oxi_format_q5_k, oxi_format_q6_k,
    oxi_format_q8_k; /* k_quants.c */
extern const oxi_format oxi_format_iq4_nl, oxi_format_iq4_xs, oxi_format_mxfp4, oxi_format_nvfp4; /* tables_4.c */
extern const oxi_format oxi_format_iq1_s, oxi_format_iq1_m, oxi_format_iq2_xxs, oxi_format_iq2_xs, oxi_format_iq2_s,
    oxi_format_iq3_xxs, oxi_format_iq3_s; /* codebooks.c */
extern const oxi_format oxi_format_tq1_0, oxi_format_tq2_0, oxi_format_q1_0, oxi_format_q2_0; /* ternary.c */

#endif
