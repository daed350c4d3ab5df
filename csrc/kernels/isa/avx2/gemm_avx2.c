/* AVX2 with FMA and F16C: bytes are multiplied into 16-bit pair sums, which are widened before they can overflow. */
#define TILE_TOKENS 4
#define TILE_TOKENS_256 4
#define GEMV_TOKENS 4
#define SIGNED_BYTES 1
#define WIDE_SUMS 0
#include "kernels/isa/x86_256_body.h"

static inline v_i32 dot4(v_i32 sum, v_u8 w, v_i32 x, int bits)
{
    __m256i u = (__m256i)w, s = (__m256i)x;
    if (bits == 8) { /* the multiplier needs one unsigned side: move the weights' signs to the activations */
        s = _mm256_sign_epi8(s, u);
        u = _mm256_abs_epi8(u);
    }
    return in_turn((v_i32)_mm256_add_epi16((__m256i)sum, _mm256_maddubs_epi16(u, s)));
}

static inline v_i32 widen(v_i32 sum, v_i32 narrow)
{
    return in_turn((v_i32)_mm256_add_epi32((__m256i)sum, _mm256_madd_epi16((__m256i)narrow, _mm256_set1_epi16(1))));
}

static inline v_i32 dot2(v_i32 sum, v_i16 a, v_i16 b)
{
    return in_turn((v_i32)_mm256_add_epi32((__m256i)sum, _mm256_madd_epi16((__m256i)a, (__m256i)b)));
}

#include "kernels/isa/gemm_table_body.h"

const oxi_kernels oxi_kernels_avx2_base = TABLE("avx2-base", OXI_CPU_AVX2, oxi_vec_avx2);
