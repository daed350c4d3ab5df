#define OXI_VEC_NAME oxi_vec_avx2vnni
#define OXI_VEC_ISA "avx2vnni"
#include "kernels/isa/vec_table_body.h"
