#include "kernels/vec.h"

#include "kernels/kernels.h"

oxi_cache_type oxi_cache_quick(void) { return oxi_kernels_get()->vec->quick_codes ? OXI_CACHE_I16 : OXI_CACHE_F16; }
