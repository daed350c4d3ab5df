/* AVX-512 without VNNI: bytes are multiplied into pairs of 16 bits, which are widened before they could overflow. */
#include <immintrin.h>

#define VB 64
#define TILE_PANELS 1
#define TILE_TOKENS 4
#define TILE_TOKENS_256 4
#define DIRECT_TOKENS 4
#define DIRECT_TOKENS_256 4
#define DIRECT_LIMIT 32
#define DIRECT_PAIRS 1
#define SIGNED_BYTES 1
#define WIDE_SUMS 0
#include "vector_types.h"

static inline v_i32 dot4(v_i32 sum, v_u8 w, v_i32 x, int bits)
{
    __m512i u = (__m512i)w, s = (__m512i)x;
    if (bits == 8) { /* the multiplier wants one side unsigned: move the weights' signs to the activations */
        s = _mm512_mask_sub_epi8(s, _mm512_movepi8_mask(u), _mm512_setzero_si512(), s);
        u = _mm512_abs_epi8(u);
    }
    return (v_i32)_mm512_add_epi16((__m512i)sum, _mm512_maddubs_epi16(u, s));
}

static inline v_i32 widen(v_i32 sum, v_i32 narrow)
{
    return (v_i32)_mm512_add_epi32((__m512i)sum, _mm512_madd_epi16((__m512i)narrow, _mm512_set1_epi16(1)));
}

static inline v_i32 dot2(v_i32 sum, v_i16 a, v_i16 b)
{
    return (v_i32)_mm512_add_epi32((__m512i)sum, _mm512_madd_epi16((__m512i)a, (__m512i)b));
}

static inline v_f32 multiply_add(v_f32 a, v_f32 b, v_f32 c)
{
    return (v_f32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}

static inline v_f32 load_half(const uint8_t *p)
{
    return (v_f32)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline v_i32 widen_u8(v_lanes v) { return (v_i32)_mm512_cvtepu8_epi32((__m128i)v); }
static inline v_i32 widen_i8(v_lanes v) { return (v_i32)_mm512_cvtepi8_epi32((__m128i)v); }
static inline v_i16 widen_pairs(v_half v) { return (v_i16)_mm512_cvtepu8_epi16((__m256i)v); }

static inline v_u8 lookup(v_u8 table, v_u8 index) { return (v_u8)_mm512_shuffle_epi8((__m512i)table, (__m512i)index); }

#include "vector.h"

#include "cpu.h"

const oxi_kernels oxi_row_avx512_base = TABLE("avx512-base", OXI_CPU_AVX2 | OXI_CPU_AVX512);
