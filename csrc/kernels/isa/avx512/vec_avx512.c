#define OXI_VEC_NAME oxi_vec_avx512
#define OXI_VEC_ISA "avx512"
#include "kernels/isa/vec_table_body.h"
