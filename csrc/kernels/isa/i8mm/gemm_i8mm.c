/* Arm with int8 matrix products: one instruction multiplies two rows by two tokens over eight columns, twice the rate of
 * the dot product. Used for many tokens. Few tokens are bound by memory and run in the isa below, with the same bits. */
#define TILE_PANELS 1
#define TILE_TOKENS 4
#define TILE_TOKENS_256 2
#define GEMV_LIMIT 8
#define PAIRED_DOTS 1
#include "kernels/isa/arm_128_body.h"

static inline v_i32 dot2x2(v_i32 sum, v_u8 w, v_u8 x) { return (v_i32)vmmlaq_s32((int32x4_t)sum, (int8x16_t)w, (int8x16_t)x); }

static inline v_i32 pairs_low(v_i32 a, v_i32 b) { return (v_i32)vzip1q_s32((int32x4_t)a, (int32x4_t)b); }
static inline v_i32 pairs_high(v_i32 a, v_i32 b) { return (v_i32)vzip2q_s32((int32x4_t)a, (int32x4_t)b); }
static inline v_i32 evens(v_i32 a, v_i32 b) { return (v_i32)vuzp1q_s32((int32x4_t)a, (int32x4_t)b); }
static inline v_i32 odds(v_i32 a, v_i32 b) { return (v_i32)vuzp2q_s32((int32x4_t)a, (int32x4_t)b); }

#define GEMV_KERNELS oxi_kernels_neon_dot
#include "kernels/isa/gemm_table_body.h"

const oxi_kernels oxi_kernels_neon_i8mm = TABLE("neon-i8mm", OXI_CPU_NEON | OXI_CPU_I8MM, oxi_vec_neon);
