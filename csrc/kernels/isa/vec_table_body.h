/* The table of vector functions for the instruction set this translation unit is compiled for. The file that includes it
 * defines OXI_VEC_NAME, the table's symbol, and OXI_VEC_ISA, its name. */
#include "kernels/isa/isa.h"

#include "kernels/attention/attend_body.h"
#include "kernels/vec/logits_body.h"
#include "kernels/vec/recurrent_body.h"

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#define QUICK_CODES true
#else
#define QUICK_CODES false
#endif

const oxi_vec OXI_VEC_NAME = {
    .name = OXI_VEC_ISA,
    .quick_codes = QUICK_CODES,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .glu = glu,
    .affine = affine,
    .softcap = softcap,
    .rope_pairs = rope_pairs,
    .rope_halves = rope_halves,
    .softmax = softmax,
    .to_f16 = to_f16,
    .from_f16 = from_f16,
    .encode = encode,
    .attend = attend,
    .attend_join = attend_join,
    .conv_row = conv_row,
    .delta_rule = delta_rule,
    .selective_scan = selective_scan,
    .dplr = dplr,
    .clamp = clamp,
    .block_maxima = block_maxima,
    .weights = weights,
    .exp_sum = exp_sum,
    .weighted_sum = weighted_sum,
    .nearness = nearness,
    .moments = moments,
};
