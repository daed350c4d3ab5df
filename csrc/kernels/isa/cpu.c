#include "kernels/isa/cpu.h"

#if defined(__x86_64__)

#include <cpuid.h>

/* The register files that the system saves on a task switch (XCR0). */
static uint64_t saved_registers(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

uint64_t oxi_cpu_features(void)
{
    enum { YMM = 0x06, ZMM = 0xe6 };
    unsigned a, b, c, d, a7, b7, c7, d7;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !__get_cpuid_count(7, 0, &a7, &b7, &c7, &d7)) return 0;
    const unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
    const unsigned bmi2 = 1u << 8, avx2 = 1u << 5;
    if ((c & (fma | osxsave | avx | f16c)) != (fma | osxsave | avx | f16c)) return 0;
    const uint64_t saved = saved_registers();
    if ((saved & YMM) != YMM || (b7 & (avx2 | bmi2)) != (avx2 | bmi2)) return 0;

    unsigned a71 = 0, b71, c71, d71;
    if (a7 < 1 || !__get_cpuid_count(7, 1, &a71, &b71, &c71, &d71)) a71 = 0;
    uint64_t has = OXI_CPU_AVX2;
    if (a71 & 1u << 4) has |= OXI_CPU_AVXVNNI;
    const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
    if ((saved & ZMM) != ZMM || (b7 & avx512) != avx512) return has;
    has |= OXI_CPU_AVX512;
    if (c7 & 1u << 11) has |= OXI_CPU_AVX512VNNI;
    if (c7 & 1u << 1) has |= OXI_CPU_AVX512VBMI;
    if (a71 & 1u << 5) has |= OXI_CPU_AVX512BF16;
    return has;
}

#elif defined(__aarch64__) && defined(__linux__)

#include <sys/auxv.h>

uint64_t oxi_cpu_features(void)
{
    const unsigned long hw = getauxval(AT_HWCAP), hw2 = getauxval(AT_HWCAP2);
    const unsigned long asimdhp = 1ul << 10, asimddp = 1ul << 20, i8mm = 1ul << 13;
    if ((hw & (asimdhp | asimddp)) != (asimdhp | asimddp)) return 0;
    return OXI_CPU_NEON | (hw2 & i8mm ? OXI_CPU_I8MM : 0);
}

#elif defined(__aarch64__) && defined(__APPLE__)

#include <stddef.h>
#include <sys/sysctl.h>

static int has_feature(const char *name)
{
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, NULL, 0) == 0 && value;
}

uint64_t oxi_cpu_features(void)
{
    if (!has_feature("hw.optional.arm.FEAT_DotProd") || !has_feature("hw.optional.arm.FEAT_FP16")) return 0;
    return OXI_CPU_NEON | (has_feature("hw.optional.arm.FEAT_I8MM") ? OXI_CPU_I8MM : 0);
}

#else

uint64_t oxi_cpu_features(void) { return 0; }

#endif

bool oxi_cpu_wants_one_run(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    __builtin_cpu_init();
    if (!__builtin_cpu_is("amd") || !__get_cpuid(1, &a, &b, &c, &d)) return false;
    return (a >> 8 & 15) + (a >> 20 & 255) == 25;
#else
    return false;
#endif
}
