#define OXI_VEC_NAME oxi_vec_generic
#define OXI_VEC_ISA "generic"
#include "kernels/isa/vec_table_body.h"
