#define OXI_VEC_NAME oxi_vec_avx2
#define OXI_VEC_ISA "avx2"
#include "kernels/isa/vec_table_body.h"
