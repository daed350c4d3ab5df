/* Run by test_select.py: the isas of a processor with BF16 and without VNNI, which no test machine need be. The kernels and
 * tables of vector functions are stand-ins; what is tested is the inheritance. */
#include "kernels/isa/cpu.h"
#include "kernels/isa/isa.h"
#include "kernels/vec/vec.h"
#include "oxillama.h"

#include <stdio.h>
#include <string.h>

#define ISA(symbol, isa_name, isa_needs, isa_vec) \
    const oxi_kernels symbol = {.name = isa_name, .needs = isa_needs, .vec = isa_vec}
#define VEC(flags) const oxi_vec oxi_vec_##flags = {.name = #flags}

VEC(generic); VEC(avx2); VEC(avx2vnni); VEC(avx512); VEC(avx512vnni);

ISA(oxi_kernels_generic, "generic", 0, &oxi_vec_generic);
ISA(oxi_kernels_avx2_base, "avx2-base", OXI_CPU_AVX2, &oxi_vec_avx2);
ISA(oxi_kernels_avx2_vnni, "avx2-vnni", OXI_CPU_AVX2 | OXI_CPU_AVXVNNI, &oxi_vec_avx2vnni);
ISA(oxi_kernels_avx512_base, "avx512-base", OXI_CPU_AVX2 | OXI_CPU_AVX512, &oxi_vec_avx512);
ISA(oxi_kernels_avx512_vnni, "avx512-vnni", OXI_CPU_AVX2 | OXI_CPU_AVX512 | OXI_CPU_AVX512VNNI, &oxi_vec_avx512vnni);
ISA(oxi_kernels_avx512_vbmi, "avx512-vbmi", OXI_CPU_AVX2 | OXI_CPU_AVX512 | OXI_CPU_AVX512VNNI | OXI_CPU_AVX512VBMI, NULL);
ISA(oxi_kernels_avx512_bf16, "avx512-bf16", OXI_CPU_AVX2 | OXI_CPU_AVX512 | OXI_CPU_AVX512BF16, NULL);

uint64_t oxi_cpu_features(void) { return HAS; }
bool oxi_cpu_wants_one_run(void) { return false; }

int main(void)
{
    oxi_error err;
    if (oxi_kernels_init("avx512-bf16", &err) != OXI_OK) {
        fputs(err.text, stderr);
        return 1;
    }
    puts(oxi_kernels_get()->vec->name);
    return 0;
}
