#define OXI_VEC_NAME oxi_vec_neon
#define OXI_VEC_ISA "neon"
#include "kernels/isa/vec_table_body.h"
