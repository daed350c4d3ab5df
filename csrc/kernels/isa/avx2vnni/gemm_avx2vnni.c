/* AVX2 with AVX-VNNI: one instruction multiplies four bytes and sums the products. */
#define TILE_TOKENS 6
#define TILE_TOKENS_256 2
#define GEMV_TOKENS 6
#define SIGNED_BYTES 0
#define WIDE_SUMS 1
#include "kernels/isa/x86_256_body.h"

static inline v_i32 dot4(v_i32 sum, v_u8 w, v_i32 x, int bits)
{
    (void)bits;
    return (v_i32)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)w, (__m256i)x);
}

static inline v_i32 dot2(v_i32 sum, v_i16 a, v_i16 b)
{
    return (v_i32)_mm256_dpwssd_avx_epi32((__m256i)sum, (__m256i)a, (__m256i)b);
}

#include "kernels/isa/gemm_table_body.h"

const oxi_kernels oxi_kernels_avx2_vnni = TABLE("avx2-vnni", OXI_CPU_AVX2 | OXI_CPU_AVXVNNI, oxi_vec_avx2vnni);
