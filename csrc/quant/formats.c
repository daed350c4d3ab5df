/* Maps a type's number to its format, and holds the loops that decode weights to float32. */
#include "quant/quant.h"

#include "quant/half.h"
#include "oxillama.h"

const oxi_format *oxi_format_of(uint32_t type)
{
    static const oxi_format *const formats[OXI_TYPE_COUNT] = {
        [OXI_TYPE_Q4_0] = &oxi_format_q4_0,
        [OXI_TYPE_Q4_1] = &oxi_format_q4_1,
        [OXI_TYPE_Q5_0] = &oxi_format_q5_0,
        [OXI_TYPE_Q5_1] = &oxi_format_q5_1,
        [OXI_TYPE_Q8_0] = &oxi_format_q8_0,
        [OXI_TYPE_Q8_1] = &oxi_format_q8_1,
        [OXI_TYPE_Q2_K] = &oxi_format_q2_k,
        [OXI_TYPE_Q3_K] = &oxi_format_q3_k,
        [OXI_TYPE_Q4_K] = &oxi_format_q4_k,
        [OXI_TYPE_Q5_K] = &oxi_format_q5_k,
        [OXI_TYPE_Q6_K] = &oxi_format_q6_k,
        [OXI_TYPE_Q8_K] = &oxi_format_q8_k,
        [OXI_TYPE_IQ4_NL] = &oxi_format_iq4_nl,
        [OXI_TYPE_IQ4_XS] = &oxi_format_iq4_xs,
        [OXI_TYPE_MXFP4] = &oxi_format_mxfp4,
        [OXI_TYPE_NVFP4] = &oxi_format_nvfp4,
        [OXI_TYPE_IQ1_S] = &oxi_format_iq1_s,
        [OXI_TYPE_IQ1_M] = &oxi_format_iq1_m,
        [OXI_TYPE_IQ2_XXS] = &oxi_format_iq2_xxs,
        [OXI_TYPE_IQ2_XS] = &oxi_format_iq2_xs,
        [OXI_TYPE_IQ2_S] = &oxi_format_iq2_s,
        [OXI_TYPE_IQ3_XXS] = &oxi_format_iq3_xxs,
        [OXI_TYPE_IQ3_S] = &oxi_format_iq3_s,
        [OXI_TYPE_TQ1_0] = &oxi_format_tq1_0,
        [OXI_TYPE_TQ2_0] = &oxi_format_tq2_0,
        [OXI_TYPE_Q1_0] = &oxi_format_q1_0,
        [OXI_TYPE_Q2_0] = &oxi_format_q2_0,
    };
    return type < OXI_TYPE_COUNT ? formats[type] : NULL;
}

oxi_status oxi_type_unsupported(uint32_t type, const char *doing, oxi_error *err)
{
    const char *name = oxi_type_describe(type)->name;
    if (name) return oxi_fail(err, OXI_ERR_UNSUPPORTED, "%s weights of type %s is not supported", doing, name);
    return oxi_fail(err, OXI_ERR_UNSUPPORTED, "%s weights: GGUF defines no tensor type %u", doing, type);
}

static void dequantize_block(const oxi_format *f, const oxi_block *b, float *dst)
{
    const float d = oxi_half_float(b->d) * f->unit, dmin = f->minima ? oxi_half_float(b->dmin) : 0.0f;
    for (int g = 0; g < f->block / f->group; g++) {
        const float scale = f->wide ? b->wide[g] : d * (float)b->scale[g];
        const float minimum = f->minima ? dmin * (float)b->minimum[g] : 0.0f;
        const uint8_t *code = b->code + g * f->group;
        float *out = dst + g * f->group;
        if (f->values)
            for (int i = 0; i < f->group; i++) out[i] = scale * (float)f->values[code[i]];
        else if (f->minima)
            for (int i = 0; i < f->group; i++) out[i] = scale * (float)(code[i] - f->zero) - minimum;
        else
            for (int i = 0; i < f->group; i++) out[i] = scale * (float)(code[i] - f->zero);
    }
}

oxi_status oxi_dequantize(uint32_t type, const void *src, uint64_t n, float *dst, oxi_error *err)
{
    const uint8_t *bytes = src;
    if (type == OXI_TYPE_F32) {
        memcpy(dst, src, n * sizeof(float));
        return OXI_OK;
    }
    if (type == OXI_TYPE_F16) {
        for (uint64_t i = 0; i < n; i++) dst[i] = oxi_half_float(oxi_read_u16(bytes + 2 * i));
        return OXI_OK;
    }
    if (type == OXI_TYPE_BF16) {
        for (uint64_t i = 0; i < n; i++) dst[i] = oxi_bf16_float(oxi_read_u16(bytes + 2 * i));
        return OXI_OK;
    }
    const oxi_format *f = oxi_format_of(type);
    if (!f) return oxi_type_unsupported(type, "decoding", err);
    if (n % f->block)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "%llu weights are not a multiple of %s's block of %u",
                        (unsigned long long)n, oxi_type_describe(type)->name, f->block);
    oxi_block block;
    for (uint64_t i = 0; i < n / f->block; i++) {
        f->decode(bytes + i * f->block_size, &block);
        dequantize_block(f, &block, dst + i * f->block);
    }
    return OXI_OK;
}
