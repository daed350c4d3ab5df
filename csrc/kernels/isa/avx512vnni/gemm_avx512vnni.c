/* AVX-512 with VNNI. */
#include "kernels/isa/x86_512_vnni_body.h"

#include "kernels/isa/gemm_table_body.h"

const oxi_kernels oxi_kernels_avx512_vnni =
    TABLE("avx512-vnni", OXI_CPU_AVX2 | OXI_CPU_AVX512 | OXI_CPU_AVX512VNNI, oxi_vec_avx512vnni);
