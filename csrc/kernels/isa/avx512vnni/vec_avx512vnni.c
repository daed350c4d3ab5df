#define OXI_VEC_NAME oxi_vec_avx512vnni
#define OXI_VEC_ISA "avx512vnni"
#include "kernels/isa/vec_table_body.h"
