/* AVX-512 without VNNI: bytes are multiplied into 16-bit pair sums, which are widened before they can overflow. */
#define TILE_PANELS 1
#define TILE_TOKENS 4
#define TILE_TOKENS_256 4
#define GEMV_TOKENS 4
#define GEMV_LIMIT 32
#define GEMV_LIMIT_UNPACKED 32
#define GEMV_PAIRS 1
#define SIGNED_BYTES 1
#define WIDE_SUMS 0
#include "kernels/isa/x86_512_body.h"

static inline v_i32 dot4(v_i32 sum, v_u8 w, v_i32 x, int bits)
{
    __m512i u = (__m512i)w, s = (__m512i)x;
    if (bits == 8) { /* the multiplier needs one unsigned side: move the weights' signs to the activations */
        s = _mm512_mask_sub_epi8(s, _mm512_movepi8_mask(u), _mm512_setzero_si512(), s);
        u = _mm512_abs_epi8(u);
    }
    return in_turn((v_i32)_mm512_add_epi16((__m512i)sum, _mm512_maddubs_epi16(u, s)));
}

static inline v_i32 widen(v_i32 sum, v_i32 narrow)
{
    return in_turn((v_i32)_mm512_add_epi32((__m512i)sum, _mm512_madd_epi16((__m512i)narrow, _mm512_set1_epi16(1))));
}

static inline v_i32 dot2(v_i32 sum, v_i16 a, v_i16 b)
{
    return in_turn((v_i32)_mm512_add_epi32((__m512i)sum, _mm512_madd_epi16((__m512i)a, (__m512i)b)));
}

#include "kernels/isa/gemm_table_body.h"

const oxi_kernels oxi_kernels_avx512_base = TABLE("avx512-base", OXI_CPU_AVX2 | OXI_CPU_AVX512, oxi_vec_avx512);
