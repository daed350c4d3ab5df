/* What the processor can execute and the operating system saves. Private to kernels/. */
#ifndef OXI_CPU_H
#define OXI_CPU_H

#include <stdbool.h>
#include <stdint.h>

#define OXI_CPU_AVX2 (UINT64_C(1) << 0)  /* AVX2, FMA, F16C and BMI2 together */
#define OXI_CPU_AVXVNNI (UINT64_C(1) << 1)
#define OXI_CPU_AVX512 (UINT64_C(1) << 2) /* F, BW, DQ and VL together */
#define OXI_CPU_AVX512VNNI (UINT64_C(1) << 3)
#define OXI_CPU_AVX512BF16 (UINT64_C(1) << 4)
#define OXI_CPU_NEON (UINT64_C(1) << 5) /* dot product and half-precision arithmetic */
#define OXI_CPU_I8MM (UINT64_C(1) << 6)
#define OXI_CPU_AVX512VBMI (UINT64_C(1) << 7)

uint64_t oxi_cpu_features(void);
/* Zen 3 and 4 (AMD, family 25). A Zen 4 was measured; the next family, a Zen 5, was fast with turns. */
bool oxi_cpu_wants_one_run(void);

#endif
