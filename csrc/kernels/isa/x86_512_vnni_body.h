/* Shared by the AVX-512 isas with VNNI: one instruction multiplies four bytes and sums the products. 32 rows by 6 tokens
 * fill the 32 registers: 12 integer sums, 12 float sums, two registers of codes, the rest for scales. */
#define TILE_PANELS 2
#define TILE_TOKENS 6
#define TILE_TOKENS_256 6
#define TILE_TOKENS_SCALED 8
#define GEMV_TOKENS 8
#define GEMV_LIMIT 64
#define GEMV_LIMIT_UNPACKED 8
#define GEMV_PAIRS 3
#define SIGNED_BYTES 0
#define WIDE_SUMS 1
#include "kernels/isa/x86_512_body.h"

static inline v_i32 dot4(v_i32 sum, v_u8 w, v_i32 x, int bits)
{
    (void)bits;
    return (v_i32)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)w, (__m512i)x);
}

static inline v_i32 dot2(v_i32 sum, v_i16 a, v_i16 b)
{
    return (v_i32)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
}
