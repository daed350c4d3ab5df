/* The isas in this build, a folder each. Private to kernels/. */
#ifndef OXI_ISA_H
#define OXI_ISA_H

#include "kernels/kernels.h"
typedef struct oxi_vec oxi_vec; /* vec/vec.h */

extern const oxi_kernels oxi_kernels_generic;
#if defined(OXI_GENERIC_ONLY) /* for builds that must compile quickly: the sanitizers' */
#elif defined(__x86_64__)
extern const oxi_kernels oxi_kernels_avx2_base, oxi_kernels_avx2_vnni, oxi_kernels_avx512_base, oxi_kernels_avx512_vnni,
    oxi_kernels_avx512_vbmi, oxi_kernels_avx512_bf16;
#elif defined(__aarch64__)
extern const oxi_kernels oxi_kernels_neon_dot, oxi_kernels_neon_i8mm;
#endif

/* Their tables of vector functions. */
extern const oxi_vec oxi_vec_generic, oxi_vec_avx2, oxi_vec_avx2vnni, oxi_vec_avx512, oxi_vec_avx512vnni, oxi_vec_neon;

#endif
