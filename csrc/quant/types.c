#include "oxillama.h"

/* Block sizes in weights and bytes, as the GGUF format defines them. Numbers that the format has withdrawn keep their
 * name, so that the error for an old file says what it holds. */
static const oxi_type_info types[OXI_TYPE_COUNT] = {
    [OXI_TYPE_F32] = {"F32", 1, 4},
    [OXI_TYPE_F16] = {"F16", 1, 2},
    [OXI_TYPE_Q4_0] = {"Q4_0", 32, 18},
    [OXI_TYPE_Q4_1] = {"Q4_1", 32, 20},
    [4] = {"Q4_2", 32, 0},
    [5] = {"Q4_3", 32, 0},
    [OXI_TYPE_Q5_0] = {"Q5_0", 32, 22},
    [OXI_TYPE_Q5_1] = {"Q5_1", 32, 24},
    [OXI_TYPE_Q8_0] = {"Q8_0", 32, 34},
    [OXI_TYPE_Q8_1] = {"Q8_1", 32, 36},
    [OXI_TYPE_Q2_K] = {"Q2_K", 256, 84},
    [OXI_TYPE_Q3_K] = {"Q3_K", 256, 110},
    [OXI_TYPE_Q4_K] = {"Q4_K", 256, 144},
    [OXI_TYPE_Q5_K] = {"Q5_K", 256, 176},
    [OXI_TYPE_Q6_K] = {"Q6_K", 256, 210},
    [OXI_TYPE_Q8_K] = {"Q8_K", 256, 292},
    [OXI_TYPE_IQ2_XXS] = {"IQ2_XXS", 256, 66},
    [OXI_TYPE_IQ2_XS] = {"IQ2_XS", 256, 74},
    [OXI_TYPE_IQ3_XXS] = {"IQ3_XXS", 256, 98},
    [OXI_TYPE_IQ1_S] = {"IQ1_S", 256, 50},
    [OXI_TYPE_IQ4_NL] = {"IQ4_NL", 32, 18},
    [OXI_TYPE_IQ3_S] = {"IQ3_S", 256, 110},
    [OXI_TYPE_IQ2_S] = {"IQ2_S", 256, 82},
    [OXI_TYPE_IQ4_XS] = {"IQ4_XS", 256, 136},
    [OXI_TYPE_I8] = {"I8", 1, 1},
    [OXI_TYPE_I16] = {"I16", 1, 2},
    [OXI_TYPE_I32] = {"I32", 1, 4},
    [OXI_TYPE_I64] = {"I64", 1, 8},
    [OXI_TYPE_F64] = {"F64", 1, 8},
    [OXI_TYPE_IQ1_M] = {"IQ1_M", 256, 56},
    [OXI_TYPE_BF16] = {"BF16", 1, 2},
    [31] = {"Q4_0_4_4", 32, 0},
    [32] = {"Q4_0_4_8", 32, 0},
    [33] = {"Q4_0_8_8", 32, 0},
    [OXI_TYPE_TQ1_0] = {"TQ1_0", 256, 54},
    [OXI_TYPE_TQ2_0] = {"TQ2_0", 256, 66},
    [36] = {"IQ4_NL_4_4", 32, 0},
    [37] = {"IQ4_NL_4_8", 32, 0},
    [38] = {"IQ4_NL_8_8", 32, 0},
    [OXI_TYPE_MXFP4] = {"MXFP4", 32, 17},
    [OXI_TYPE_NVFP4] = {"NVFP4", 64, 36},
    [OXI_TYPE_Q1_0] = {"Q1_0", 128, 18},
    [OXI_TYPE_Q2_0] = {"Q2_0", 64, 18},
};

const oxi_type_info *oxi_type_describe(uint32_t type)
{
    static const oxi_type_info unknown = {NULL, 1, 0};
    return type < OXI_TYPE_COUNT ? &types[type] : &unknown;
}
