/* AVX-512 with VNNI: four products of bytes and their sum in one instruction. 32 rows by 6 tokens fill the 32 registers:
 * 12 integer sums, 12 float sums, two registers of codes, the rest for scales. */
#include <immintrin.h>

#define VB 64
#define TILE_PANELS 2
#define TILE_TOKENS 6
#define TILE_TOKENS_256 6
#define DIRECT_TOKENS 8
#define DIRECT_TOKENS_256 4
#define DIRECT_LIMIT 64
#define DIRECT_PAIRS 3
#define SIGNED_BYTES 0
#define WIDE_SUMS 1
#include "vector_types.h"

static inline v_i32 dot4(v_i32 sum, v_u8 w, v_i32 x, int bits)
{
    (void)bits;
    return (v_i32)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)w, (__m512i)x);
}

static inline v_i32 widen(v_i32 sum, v_i32 narrow) { return sum + narrow; }

static inline v_i32 dot2(v_i32 sum, v_i16 a, v_i16 b)
{
    return (v_i32)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
}

static inline v_f32 multiply_add(v_f32 a, v_f32 b, v_f32 c) { return (v_f32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }

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

const oxi_kernels oxi_row_avx512_vnni = TABLE("avx512-vnni", OXI_CPU_AVX2 | OXI_CPU_AVX512 | OXI_CPU_AVX512VNNI);
