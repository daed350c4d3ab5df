/* Packed matrices: the formats that kernels compute in, and how a matrix gets there.
 *
 * A matrix [n_rows, n_cols] is cut into panels of 16 rows. Inside a panel the columns run in blocks of
 * 32 or 256 (the file format's own block). A block holds the codes of all 16 rows, interleaved so that one 32-bit lane
 * of a SIMD register holds 4 columns of one row, and register r of a block is [row 0: 4 columns][row 1: the same 4]…
 * Sixteen lanes are one 512-bit register, two of 256 bits or four of 128: every instruction set reads the same bytes.
 * A dot product then needs no shuffle and no horizontal sum: it multiplies unsigned weight codes by signed activations,
 * broadcast four bytes at a time. After (or before) a block's codes come its scales and minima, 16 rows side by side.
 *
 *     weight[row, col] = scale(row, group of col) * value(code) - minimum(row, group of col)
 *
 * where value(code) is code - zero or, in packs with a table, the table's entry.
 *
 * Rows past n_rows in the last panel hold code `zero` and scale 0. Every panel of a matrix is `panel_bytes` long, so a
 * thread's share of rows is one contiguous run of memory, the same in every step.
 *
 * Activations are quantised once per step to int8, with one scale per block of 32 or 256 columns (the weights' block) and
 * the sums per 16 or 32 columns that zero points and minima need. Their layout is private to kernels/.
 */
#ifndef OXI_MATRIX_H
#define OXI_MATRIX_H

#include "kernels/pack/reading.h"
#include "oxillama_types.h"

#define OXI_PANEL 16

/* Compute formats. A name gives the bits of a code (T: of an index into a table of values) and the columns per block;
 * layout.h draws them. */
typedef enum oxi_pack {
    OXI_PACK_F32,       /* [panel][col][16] float */
    OXI_PACK_F16,       /* [panel][col][16] half */
    OXI_PACK_BF16,      /* [panel][col/2][16][2] bfloat16: pairs, as vdpbf16ps wants them */
    OXI_PACK_Q4_32,     /* Q4_0: 4-bit codes, f16 scale per 32 */
    OXI_PACK_Q8_32,     /* Q8_0, Q8_1: 8-bit codes, f16 scale per 32 */
    OXI_PACK_Q4_256,    /* Q4_K */
    OXI_PACK_Q5_256,    /* Q5_K */
    OXI_PACK_Q6_256,    /* Q6_K */
    OXI_PACK_Q5_32,     /* Q5_0 */
    OXI_PACK_Q4_32_MIN, /* Q4_1: f16 scale and f16 minimum per 32 */
    OXI_PACK_Q5_32_MIN, /* Q5_1 */
    OXI_PACK_T4_32,     /* IQ4_NL */
    OXI_PACK_T4_E8M0,   /* MXFP4: a power of two per 32 */
    OXI_PACK_T4_E4M3,   /* NVFP4: a byte float per 16 */
    OXI_PACK_T4_256,    /* IQ4_XS, IQ3_XXS, IQ3_S: int8 scale per 32, f16 per 256 */
    OXI_PACK_T3_256,    /* IQ1_S, IQ2_XXS */
    OXI_PACK_T3_256_16, /* IQ1_M, IQ2_XS, IQ2_S: int8 scale per 16 */
    OXI_PACK_Q3_256_16, /* Q3_K: 6-bit scale per 16 */
    OXI_PACK_Q2_256_16, /* Q2_K: 4-bit scale and minimum per 16 */
    OXI_PACK_Q2_64,     /* TQ1_0, TQ2_0, Q2_0: f16 scale per 64 */
    OXI_PACK_Q1_128,    /* Q1_0 */
    OXI_PACK_Q8_256,    /* Q8_K: f32 scale per 256 */
    OXI_PACK_COUNT
} oxi_pack;

typedef enum oxi_act {
    OXI_ACT_F32,
    OXI_ACT_BF16, /* for matrices of bfloat16: rounded to bfloat16 on isas that multiply pairs, floats on others */
    OXI_ACT_Q8_32,
    OXI_ACT_Q8_256,
    OXI_ACT_COUNT
} oxi_act;

/* How codes come from a codebook, chunk by chunk (codebook_chunk.h). `tables` holds what `load_tables` leaves for `decode`. */
struct oxi_codebook;
typedef struct oxi_codebook_decoder {
    void (*load_tables)(const struct oxi_codebook *codebook, uint8_t *tables);
    void (*decode)(const struct oxi_codebook *codebook, int group, const uint8_t *tables, const uint8_t *src, uint8_t *decoded);
} oxi_codebook_decoder;

extern const oxi_codebook_decoder oxi_codebook_decoder_plain; /* slow, right on every processor */

/* A packed matrix. `data` is 64-byte aligned. */
typedef struct oxi_matrix {
    oxi_pack pack;
    oxi_act act;          /* the activations it multiplies */
    int64_t n_rows, n_cols;
    int64_t n_panels;     /* ceil(n_rows / 16) */
    size_t panel_bytes;
    const struct oxi_codebook *codebook; /* NULL: codes lie as the pack says. Otherwise chunks are decoded with:  */
    const oxi_codebook_decoder *decoder;
    float unit;           /* what the scales are multiplied by: a power of two */
    int8_t table[16];     /* what codes stand for, in packs with a table */
    const oxi_reading *reading[2]; /* of oxi_readings: for one or two tokens, and for several */
    const uint8_t *data;
} oxi_matrix;

/* The compute format that a file type is packed into; false: the type is not supported as a matrix (oxi_dequantize,
 * which reads embedding rows, knows the same types). */
bool oxi_pack_for(uint32_t type, oxi_pack *pack);
/* Fill in all of `m` except data, checking n_cols against the block. With a decoder (that of the kernels in use) a codebook
 * format keeps its indices; with NULL they are decoded when the matrix is packed. */
oxi_status oxi_pack_plan(oxi_matrix *m, uint32_t type, const oxi_codebook_decoder *decoder, int64_t n_rows, int64_t n_cols,
                         oxi_error *err);
size_t oxi_pack_bytes(const oxi_matrix *m); /* n_panels * panel_bytes, plus the over-read kernels may do */
/* Pack panels [p0, p1) of a tensor (row-major file blocks at `src`) into `dst`, which is m->data made writable. */
void oxi_pack_panels(const oxi_matrix *m, uint32_t type, const void *src, int64_t p0, int64_t p1, uint8_t *dst);

/* Bytes for `n_tokens` quantised activation rows of n_cols; the buffer is 64-byte aligned. */
size_t oxi_act_bytes(oxi_act act, int64_t n_tokens, int64_t n_cols);

#endif
