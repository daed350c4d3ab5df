#include "kernels/vec.h"

#include "kernels/kernels.h"

#include <string.h>

const oxi_vec *oxi_vec_for(const char *row)
{
#if defined(__x86_64__)
    if (!strncmp(row, "avx512", 6)) return strcmp(row, "avx512-base") ? &oxi_vec_avx512vnni : &oxi_vec_avx512;
    if (!strncmp(row, "avx2", 4)) return strcmp(row, "avx2-base") ? &oxi_vec_avx2vnni : &oxi_vec_avx2;
#elif defined(__aarch64__)
    if (!strncmp(row, "neon", 4) || !strncmp(row, "i8mm", 4)) return &oxi_vec_neon;
#endif
    return &oxi_vec_generic;
}

oxi_cache_type oxi_cache_quick(void)
{
    return oxi_vec_for(oxi_kernels_name())->quick_codes ? OXI_CACHE_I16 : OXI_CACHE_F16;
}
