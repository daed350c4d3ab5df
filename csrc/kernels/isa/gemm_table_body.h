/* The kernels of a vector isa: everything but the dozen operations that differ between instruction sets.
 *
 * An instruction-set file defines
 *     VB             bytes of a vector register: 16, 32 or 64
 *     TILE_PANELS    panels that a tile of gemm covers
 *     TILE_TOKENS    tokens it covers: 2, 4, 6 or 8, for formats of 32 columns and floats
 *     TILE_TOKENS_256    the same for formats of 256, which keep one more sum per token
 *     TILE_TOKENS_SCALED the same for formats whose unpacked codes include their scales, if not TILE_TOKENS
 *     GEMV_TOKENS    tokens at a time in gemv, where weights go from memory straight to the multiplier
 *     GEMV_LIMIT, GEMV_LIMIT_UNPACKED  most tokens of gemv: for 8-bit codes and floats, and for other packs (except
 *                    codebooks: GEMV_TOKENS)
 *     GEMV_PAIRS     fewest tokens for which it takes TILE_PANELS panels at a time
 *     SIGNED_BYTES   1: 8-bit codes are multiplied as signed bytes (zero point 0), 0: as unsigned ones (zero point 128)
 *     WIDE_SUMS      1: `dot4` adds to 32-bit sums, 0: to 16-bit ones that `widen` must empty every so often
 * and, on the types below,
 *     v_i32 dot4(v_i32 sum, v_u8 w, v_i32 x, int bits)   4 products per lane; w below 1 << bits, x -127..127
 *     v_i32 widen(v_i32 sum, v_i32 narrow)               sum + narrow's pairs; only where WIDE_SUMS is 0
 *     v_i32 dot2(v_i32 sum, v_i16 a, v_i16 b)            2 products per lane
 *     v_f32 multiply_add(v_f32 a, v_f32 b, v_f32 c)      a * b + c, rounded once
 *     v_f32 from_halves(v_half_u16 v)                    LANES halves
 *     v_i32 widen_u8(v_lanes v), widen_i8(v_lanes v)     a byte per lane
 *     v_i16 widen_pairs(v_half v)                        two unsigned bytes per lane
 *     v_u8 lookup(v_u8 table, v_u8 index)                table repeats 16 bytes, index is below 16
 * An isa whose permutations take a table of 64 bytes defines WIDE_LOOKUP 1, the PACKS that profit, and
 *     v_u8 lookup_wide(v_u8 table, v_u8 index)           by the index's lower six bits
 *     v_u8 choose(v_u8 mask, v_u8 a, v_u8 b)             mask ? a : b, bit by bit
 *     v_u8 low_turns, high_turns(v_u8 a, v_u8 b)         alternate bytes, eight of each from every sixteen
 *     v_u8 bytes_of_mask(const uint8_t *p)               a byte of ones for each set bit
 *     void codebook_entries(const uint8_t *tables, int n, const uint8_t *low, const uint8_t *high, v_u8 out[2])
 * An isa that only improves the gemm of another isa defines GEMV_KERNELS (that isa's table) and, of the limits, only
 * GEMV_LIMIT; its float matrices use that table too. An isa that multiplies two rows by two tokens defines PAIRED_DOTS 1
 * and
 *     v_i32 dot2x2(v_i32 sum, v_u8 w, v_u8 x)            8 products per lane: w's halves (rows) by x's halves (tokens)
 *     v_i32 pairs_low, pairs_high(v_i32 a, v_i32 b)      a0 b0 a1 b1; a2 b2 a3 b3
 *     v_i32 evens, odds(v_i32 a, v_i32 b)                a0 a2 b0 b2; a1 a3 b1 b3
 * then includes this file and fills a table with TABLE(name, needs, vec). The files included below build on one another, in
 * this order.
 */
#include "kernels/isa/cpu.h"
#include "kernels/isa/isa.h"
#include "kernels/pack/codebook_chunk.h"
#ifndef PACKS
#include "kernels/gemm/quantize_activations.h"
#endif

#include "kernels/gemm/shape_body.h"
#include "kernels/gemm/codebook_body.h"
#include "kernels/gemm/unpack_body.h"
#include "kernels/gemm/dot_body.h"
#ifndef GEMV_KERNELS
#include "kernels/gemm/gemv_body.h"
#endif
#include "kernels/gemm/gemm_body.h"
#if !defined(GEMV_KERNELS) && !defined(PACKS)
#include "kernels/gemm/float_body.h"
#endif
#ifndef PACKS
#include "kernels/isa/probe_body.h"
#endif

INLINE void multiply(oxi_pack pack, const oxi_codebook *codebook, const oxi_matrix *m, int64_t p0, int64_t p1,
                     const oxi_act_record *act, int64_t n_tokens, float *out, int64_t ldo, void *scratch)
{
    codebook_scratch *const b = scratch;
    begin(pack, codebook, m, b);
#ifndef GEMV_KERNELS
    if (n_tokens <= gemv_limit(pack, codebook, m)) {
        gemv_panels(pack, codebook, m, p0, p1, act, (int)n_tokens, out, ldo, b, (gemv_scratch *)(b + 1));
        return;
    }
#endif
    gemm(pack, codebook, m, p0, p1, act, n_tokens, out, ldo, b, (gemm_scratch *)(b + 1));
}

#if WIDE_LOOKUP
/* One kernel per shape of a pack's codebooks. */
#define CODEBOOK(entries, cols, one)                                                                                   \
    if (m->codebook->n == entries) {                                                                                   \
        static const oxi_codebook codebook = {.n = entries, .columns = cols, .one_sign = one};                         \
        multiply(pack, &codebook, m, p0, p1, act, n_tokens, out, ldo, scratch);                                        \
        return;                                                                                                        \
    }
#endif

INLINE void matmul(oxi_pack pack, const oxi_matrix *m, int64_t p0, int64_t p1, const oxi_act_record *act, int64_t n_tokens,
                   float *out, int64_t ldo, void *scratch)
{
#ifdef GEMV_KERNELS
    if (n_tokens <= GEMV_LIMIT) {
        GEMV_KERNELS.matmul[pack](m, p0, p1, act, n_tokens, out, ldo, scratch);
        return;
    }
#endif
#if WIDE_LOOKUP
    if (m->codebook) {
        if (pack == OXI_PACK_T4_256) {
            CODEBOOK(256, 4, false)
            CODEBOOK(512, 4, false)
        } else if (pack == OXI_PACK_T3_256) {
            CODEBOOK(256, 8, false)
            CODEBOOK(2048, 8, true)
        } else if (pack == OXI_PACK_T3_256_16) {
            CODEBOOK(512, 8, false)
            CODEBOOK(1024, 8, false)
            CODEBOOK(2048, 8, true)
        }
    }
    multiply(pack, NULL, m, p0, p1, act, n_tokens, out, ldo, scratch);
#else
    multiply(pack, m->codebook, m, p0, p1, act, n_tokens, out, ldo, scratch);
#endif
}

#define MATMUL(pack)                                                                                                   \
    static void matmul_##pack(const oxi_matrix *m, int64_t p0, int64_t p1, const void *act, int64_t n_tokens,          \
                              float *out, int64_t ldo, void *scratch)                                                  \
    {                                                                                                                  \
        matmul(OXI_PACK_##pack, m, p0, p1, act, n_tokens, out, ldo, scratch);                                          \
    }

#ifndef PACKS
#define PACKS(F)                                                                                                       \
    F(Q4_32) F(Q8_32) F(Q4_256) F(Q5_256) F(Q6_256) F(Q5_32) F(Q4_32_MIN) F(Q5_32_MIN) F(T4_32) F(T4_E8M0) F(T4_E4M3)  \
    F(T4_256) F(T3_256) F(T3_256_16) F(Q3_256_16) F(Q2_256_16) F(Q2_64) F(Q1_128) F(Q8_256)
#endif

PACKS(MATMUL)

#define ENTRY(pack) [OXI_PACK_##pack] = matmul_##pack,

#ifdef GEMV_KERNELS
#define FLOATS
#else
#define FLOATS [OXI_PACK_F32] = matmul_f32, [OXI_PACK_F16] = matmul_f16, [OXI_PACK_BF16] = matmul_bf16,
#endif

#define TABLE(isa_name, isa_needs, isa_vec)                                                                            \
    {                                                                                                                  \
        .name = isa_name, .needs = isa_needs, .quantize = OXI_QUANTIZE_TABLE, .vec = &(isa_vec),                       \
        .probe_dot = probe_dot, .probe_read = probe_read,                                                              \
        .matmul = {FLOATS PACKS(ENTRY)},                                                                               \
    }
