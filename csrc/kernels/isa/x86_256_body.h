/* Shared by the AVX2 isas, with AVX-VNNI or without. */
#include <immintrin.h>

#define VB 32
#define TILE_PANELS 1
#define GEMV_LIMIT 16
#define GEMV_LIMIT_UNPACKED 16
#define GEMV_PAIRS 1
#include "kernels/gemm/types_body.h"

static inline v_f32 multiply_add(v_f32 a, v_f32 b, v_f32 c)
{
    return (v_f32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}

static inline v_f32 from_halves(v_half_u16 v) { return (v_f32)_mm256_cvtph_ps((__m128i)v); }

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
