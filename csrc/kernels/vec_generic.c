#define OXI_VEC_NAME oxi_vec_generic
#define OXI_VEC_ISA "generic"
#include "kernels/vec_impl.h"
