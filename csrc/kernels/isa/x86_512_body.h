/* Shared by the AVX-512 isas, with VNNI or without. */
#include <immintrin.h>

#define VB 64
#include "kernels/gemm/types_body.h"

static inline v_f32 multiply_add(v_f32 a, v_f32 b, v_f32 c)
{
    return (v_f32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}

static inline v_f32 from_halves(v_half_u16 v) { return (v_f32)_mm512_cvtph_ps((__m256i)v); }

static inline v_i32 widen_u8(v_lanes v) { return (v_i32)_mm512_cvtepu8_epi32((__m128i)v); }
static inline v_i32 widen_i8(v_lanes v) { return (v_i32)_mm512_cvtepi8_epi32((__m128i)v); }
static inline v_i16 widen_pairs(v_half v) { return (v_i16)_mm512_cvtepu8_epi16((__m256i)v); }

static inline v_u8 lookup(v_u8 table, v_u8 index) { return (v_u8)_mm512_shuffle_epi8((__m512i)table, (__m512i)index); }
