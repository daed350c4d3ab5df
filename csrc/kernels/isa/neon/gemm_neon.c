/* Arm: NEON with the dot product of signed bytes. */
#define TILE_PANELS 1
#define TILE_TOKENS 4
#define TILE_TOKENS_256 2
#define GEMV_TOKENS 4
#define GEMV_LIMIT 16
#define GEMV_LIMIT_UNPACKED 16
#define GEMV_PAIRS 1
#include "kernels/isa/arm_128_body.h"

#include "kernels/isa/gemm_table_body.h"

const oxi_kernels oxi_kernels_neon_dot = TABLE("neon-dot", OXI_CPU_NEON, oxi_vec_neon);
