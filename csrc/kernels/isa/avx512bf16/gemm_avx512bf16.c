/* AVX-512 with BF16: bfloat16 matrices times activations rounded to bfloat16; one instruction computes two products and
 * their sum. That is twice the rate of multiplying floats. Everything else comes from the isa below.
 *
 * Rounded activations are off by at most 2^-9, less than int8 with a scale per 32. The products of two bfloat16 are
 * exact, and sums are floats. Each row and token has one sum, which takes the pairs of columns in order, whatever the
 * number of tokens. Quantised activations are records of 256 bfloat16, zeros past n_cols, ordered [chunk][token].
 */
#include "kernels/isa/cpu.h"
#include "kernels/isa/isa.h"
#include "kernels/pack/layout.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

enum {
    PANELS = 2,       /* of a tile */
    TOKENS = 8,       /* of the largest tile: 16 sums hide the multiplier's latency */
    ROUND_PANELS = 4, /* their chunks fill two thirds of the L1 cache while all tokens of a round pass */
    ROUND_TOKENS = 512,
    CHUNK_BYTES = OXI_CHUNK * OXI_PANEL * 2,
};

typedef float tile_sums[ROUND_TOKENS][PANELS][OXI_PANEL];

_Static_assert(ROUND_PANELS / PANELS * sizeof(tile_sums) <= OXI_MATMUL_SCRATCH, "a round's sums fit the scratch");

static void round_bf16(const float *x, int64_t ldx, int64_t t0, int64_t t1, int64_t n_tokens, int64_t n_cols, void *act)
{
    for (int64_t c = 0; c < oxi_n_chunks(n_cols); c++)
        for (int64_t t = t0; t < t1; t++) {
            const int cols = oxi_chunk_cols(n_cols, c);
            const float *from = x + t * ldx + c * OXI_CHUNK;
            uint16_t *to = (uint16_t *)act + (c * n_tokens + t) * OXI_CHUNK;
            for (int i = 0; i < OXI_CHUNK; i += 16) {
                const int left = cols - i;
                const __mmask16 there = left >= 16 ? 0xffff : left > 0 ? (__mmask16)((1u << left) - 1) : 0;
                const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(there, from + i));
                memcpy(to + i, &rounded, sizeof rounded);
            }
        }
}

/* sums += a chunk of PANELS panels times `tokens` records. `ahead`: what to prefetch meanwhile, or NULL. */
INLINE void tile(int tokens, int n_pairs, const uint8_t *const w[PANELS], const uint8_t *const ahead[PANELS],
                 const uint16_t *x, float sums[][PANELS][OXI_PANEL])
{
    __m512 sum[PANELS][TOKENS];
    UNROLL for (int t = 0; t < tokens; t++)
        UNROLL for (int p = 0; p < PANELS; p++) sum[p][t] = _mm512_loadu_ps(sums[t][p]);
    for (int i = 0; i < n_pairs; i++) {
        __m512bh pair[PANELS];
        UNROLL for (int p = 0; p < PANELS; p++) {
            if (ahead) __builtin_prefetch(ahead[p] + 64 * i);
            memcpy(&pair[p], w[p] + 64 * i, sizeof pair[p]);
        }
        UNROLL for (int t = 0; t < tokens; t++) {
            int32_t both;
            memcpy(&both, x + t * OXI_CHUNK + 2 * i, sizeof both);
            const __m512bh every = (__m512bh)_mm512_set1_epi32(both);
            UNROLL for (int p = 0; p < PANELS; p++) sum[p][t] = _mm512_dpbf16_ps(sum[p][t], pair[p], every);
        }
    }
    UNROLL for (int t = 0; t < tokens; t++)
        UNROLL for (int p = 0; p < PANELS; p++) _mm512_storeu_ps(sums[t][p], sum[p][t]);
}

#define TILE(n)                                                                                                        \
    case n:                                                                                                            \
        if (ahead) tile(n, n_pairs, w, ahead, x, sums);                                                                \
        else tile(n, n_pairs, w, NULL, x, sums);                                                                       \
        break;

static void tile_tokens(int tokens, int n_pairs, const uint8_t *const w[PANELS], const uint8_t *const ahead[PANELS],
                        const uint16_t *x, float sums[][PANELS][OXI_PANEL])
{
    switch (tokens) { TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8) }
}

static void store_round(const oxi_matrix *m, int64_t p0, int n_panels, const tile_sums *sums, int n_tokens, float *out,
                        int64_t ldo)
{
    for (int i = 0; i < n_panels; i++) {
        const int64_t first = (p0 + i) * OXI_PANEL, left = m->n_rows - first;
        for (int t = 0; t < n_tokens; t++)
            memcpy(out + t * ldo + first, sums[i / PANELS][t][i % PANELS],
                   (size_t)(left < OXI_PANEL ? left : OXI_PANEL) * sizeof(float));
    }
}

/* Panels [p, p + n_panels) times at most ROUND_TOKENS tokens, whose chunks are `stride` values apart. */
static void multiply_round(const oxi_matrix *m, int64_t p, int n_panels, const uint16_t *x, int64_t stride, int n_tokens,
                           tile_sums *sums)
{
    for (int i = 0; i < n_panels; i += PANELS) memset(sums[i / PANELS], 0, (size_t)n_tokens * sizeof sums[0][0]);
    for (int64_t c = 0; c < oxi_n_chunks(m->n_cols); c++, x += stride) {
        const int n_pairs = (oxi_chunk_cols(m->n_cols, c) + 1) / 2;
        for (int t = 0; t < n_tokens; t += TOKENS)
            for (int i = 0; i < n_panels; i += PANELS) {
                const uint8_t *w[PANELS], *ahead[PANELS];
                for (int k = 0; k < PANELS; k++) {
                    /* A missing panel repeats the one before it. */
                    w[k] = m->data + (size_t)(p + i + (i + k < n_panels ? k : 0)) * m->panel_bytes + (size_t)c * CHUNK_BYTES;
                    ahead[k] = w[k] + CHUNK_BYTES;
                }
                tile_tokens(n_tokens - t < TOKENS ? n_tokens - t : TOKENS, n_pairs, w, t == 0 ? ahead : NULL,
                            x + t * OXI_CHUNK, sums[i / PANELS] + t);
            }
    }
}

static void matmul_bf16(const oxi_matrix *m, int64_t p0, int64_t p1, const void *act, int64_t n_tokens, float *out,
                        int64_t ldo, void *scratch)
{
    const uint16_t *x = act;
    for (int64_t p = p0; p < p1; p += ROUND_PANELS) {
        const int n_panels = (int)(p1 - p < ROUND_PANELS ? p1 - p : ROUND_PANELS);
        for (int64_t t = 0; t < n_tokens; t += ROUND_TOKENS) {
            const int n = (int)(n_tokens - t < ROUND_TOKENS ? n_tokens - t : ROUND_TOKENS);
            multiply_round(m, p, n_panels, x + t * OXI_CHUNK, n_tokens * OXI_CHUNK, n, scratch);
            store_round(m, p, n_panels, scratch, n, out + t * ldo, ldo);
        }
    }
}

const oxi_kernels oxi_kernels_avx512_bf16 = {
    .name = "avx512-bf16",
    .needs = OXI_CPU_AVX2 | OXI_CPU_AVX512 | OXI_CPU_AVX512BF16,
    .quantize = {[OXI_ACT_BF16] = round_bf16},
    .matmul = {[OXI_PACK_BF16] = matmul_bf16},
};
