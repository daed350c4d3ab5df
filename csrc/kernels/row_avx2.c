/* AVX2 with FMA and F16C: bytes are multiplied into pairs of 16 bits, which are widened before they could overflow. */
#include <immintrin.h>

#define VB 32
#define TILE_PANELS 1
#define TILE_TOKENS 4
#define TILE_TOKENS_256 4
#define DIRECT_TOKENS 4
#define DIRECT_TOKENS_256 4
#define DIRECT_LIMIT 16
#define DIRECT_PAIRS 1
#define SIGNED_BYTES 1
#define WIDE_SUMS 0
#include "vector_types.h"

static inline v_i32 dot4(v_i32 sum, v_u8 w, v_i32 x, int bits)
{
    __m256i u = (__m256i)w, s = (__m256i)x;
    if (bits == 8) { /* the multiplier wants one side unsigned: move the weights' signs to the activations */
        s = _mm256_sign_epi8(s, u);
        u = _mm256_abs_epi8(u);
    }
    return (v_i32)_mm256_add_epi16((__m256i)sum, _mm256_maddubs_epi16(u, s));
}

static inline v_i32 widen(v_i32 sum, v_i32 narrow)
{
    return (v_i32)_mm256_add_epi32((__m256i)sum, _mm256_madd_epi16((__m256i)narrow, _mm256_set1_epi16(1)));
}

static inline v_i32 dot2(v_i32 sum, v_i16 a, v_i16 b)
{
    return (v_i32)_mm256_add_epi32((__m256i)sum, _mm256_madd_epi16((__m256i)a, (__m256i)b));
}

static inline v_f32 multiply_add(v_f32 a, v_f32 b, v_f32 c)
{
    return (v_f32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}

static inline v_f32 load_half(const uint8_t *p)
{
    return (v_f32)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline __m128i low_bytes(v_lanes v)
{
    int64_t bits;
    __builtin_memcpy(&bits, &v, 8);
    return _mm_cvtsi64_si128(bits);
}

static inline v_i32 widen_u8(v_lanes v) { return (v_i32)_mm256_cvtepu8_epi32(low_bytes(v)); }
static inline v_i32 widen_i8(v_lanes v) { return (v_i32)_mm256_cvtepi8_epi32(low_bytes(v)); }
static inline v_i16 widen_pairs(v_half v) { return (v_i16)_mm256_cvtepu8_epi16((__m128i)v); }

static inline v_u8 lookup(v_u8 table, v_u8 index) { return (v_u8)_mm256_shuffle_epi8((__m256i)table, (__m256i)index); }

#include "vector.h"

#include "cpu.h"

const oxi_kernels oxi_row_avx2_base = TABLE("avx2-base", OXI_CPU_AVX2);
