/* Every isa of a build against generic, and neon-i8mm against neon-dot to the last bit, without Python: for
 * processors that are only emulated here.
 * Prints one line per isa; leaves with 1 at the first output that differs. */
#include "kernels/kernels.h"
#include "oxillama.h"
#include "platform/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t state = 12345;

static float random_float(void)
{
    state = state * 1664525u + 1013904223u;
    return (float)((int)(state >> 16) % 2001 - 1000) * 1e-3f;
}

static float *product(const oxi_kernels *kernels, const oxi_matrix *m, const float *x, int n_tokens, int n_columns)
{
    void *act = oxi_alloc(oxi_act_bytes(m->act, n_tokens, n_columns)), *scratch = oxi_alloc(OXI_MATMUL_SCRATCH);
    float *out = oxi_alloc((size_t)n_tokens * (size_t)m->n_rows * sizeof(float));
    kernels->quantize[m->act](x, n_columns, 0, n_tokens, n_tokens, n_columns, act);
    kernels->matmul[m->pack](m, 0, m->n_panels, act, n_tokens, out, m->n_rows, scratch);
    oxi_free(act);
    oxi_free(scratch);
    return out;
}

/* One matrix, packed once, times several numbers of tokens: every isa against generic. */
static int check(uint32_t type, const oxi_codebook_decoder *decoder, int n_rows, int n_columns, const int *tokens, size_t n_counts)
{
    oxi_error err;
    oxi_matrix m;
    const oxi_type_info *info = oxi_type_describe(type);
    const size_t n = (size_t)n_rows * (size_t)n_columns;
    const int most = tokens[n_counts - 1];
    float *weights = oxi_alloc(n * sizeof(float)), *x = oxi_alloc((size_t)most * (size_t)n_columns * sizeof(float));
    uint8_t *file = oxi_alloc(n / info->block * info->block_size);
    for (size_t i = 0; i < n; i++) weights[i] = random_float();
    for (int i = 0; i < most * n_columns; i++) x[i] = i % 7 ? random_float() : 1.0f;
    oxi_quantizer *quantizer = NULL;
    const bool failed = oxi_pack_plan(&m, type, decoder, n_rows, n_columns, &err) || oxi_quantizer_open(&quantizer, type, &err)
        || oxi_quantizer_rows(quantizer, weights, (uint64_t)n_rows, (uint64_t)n_columns, NULL, file, &err);
    oxi_quantizer_close(&quantizer);
    if (failed) {
        printf("%s\n", err.text);
        return 1;
    }
    uint8_t *packed = oxi_alloc(oxi_pack_bytes(&m));
    oxi_pack_panels(&m, type, file, 0, m.n_panels, packed);
    m.data = packed;
    int wrong = 0;
    for (size_t k = 0; k < n_counts && !wrong; k++) {
        float *want = product(oxi_kernels_find("generic"), &m, x, tokens[k], n_columns), *dot = NULL;
        const size_t bytes = (size_t)tokens[k] * (size_t)n_rows * sizeof(float);
        for (const char *const *name = oxi_kernels_available(); *name && !wrong; name++) {
            float *got = product(oxi_kernels_find(*name), &m, x, tokens[k], n_columns);
            for (int i = 0; i < tokens[k] * n_rows && !wrong; i++)
                if (!(fabsf(got[i] - want[i]) <= 1e-5f * (float)n_columns)) {
                    printf("%s %s %dx%d tokens %d: output %d is %g, not %g\n", *name, info->name, n_rows, n_columns,
                           tokens[k], i, (double)got[i], (double)want[i]);
                    wrong = 1;
                }
            if (!strcmp(*name, "neon-i8mm") && dot && memcmp(got, dot, bytes)) {
                printf("%s %s tokens %d: not the bits of neon-dot\n", *name, info->name, tokens[k]);
                wrong = 1;
            }
            if (strcmp(*name, "neon-dot")) oxi_free(got);
            else dot = got;
        }
        oxi_free(dot);
        oxi_free(want);
    }
    oxi_free(weights);
    oxi_free(x);
    oxi_free(file);
    oxi_free(packed);
    return wrong;
}

int main(void)
{
    /* A type for each packed format. Codebooks are slow to search, so their matrices are small. */
    static const uint32_t types[] = {OXI_TYPE_F32,  OXI_TYPE_F16,  OXI_TYPE_BF16, OXI_TYPE_Q4_0,   OXI_TYPE_Q4_1,
                                     OXI_TYPE_Q5_0, OXI_TYPE_Q5_1, OXI_TYPE_Q8_0, OXI_TYPE_Q2_K,   OXI_TYPE_Q3_K,
                                     OXI_TYPE_Q4_K, OXI_TYPE_Q5_K, OXI_TYPE_Q6_K, OXI_TYPE_IQ4_NL, OXI_TYPE_IQ4_XS,
                                     OXI_TYPE_MXFP4, OXI_TYPE_NVFP4, OXI_TYPE_TQ2_0, OXI_TYPE_Q1_0, OXI_TYPE_IQ2_XXS};
    static const int tokens[] = {1, 2, 3, 4, 5, 7, 8, 15, 33, 47};
    const size_t n_counts = sizeof tokens / sizeof *tokens;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        const int block = (int)oxi_type_describe(types[t])->block;
        const int n_columns = block == 1 ? 301 : block == 256 ? 512 : 256 + 3 * block;
        if (check(types[t], NULL, types[t] == OXI_TYPE_IQ2_XXS ? 5 : 38, n_columns, tokens, n_counts)) return 1;
    }
    static const uint32_t codebooks[] = {OXI_TYPE_IQ2_XXS, OXI_TYPE_IQ2_XS, OXI_TYPE_IQ3_S};
    for (size_t b = 0; b < sizeof codebooks / sizeof *codebooks; b++)
        if (check(codebooks[b], &oxi_codebook_decoder_plain, 5, 256, tokens, n_counts)) return 1;
    for (const char *const *name = oxi_kernels_available(); *name; name++) printf("%s ok\n", *name);
    return 0;
}
