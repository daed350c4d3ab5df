/* Run by test_nan.py under the undefined-behaviour sanitizer: NaN, infinities and the largest numbers through every vector
 * function that makes integers of floats. NaN in gives NaN out, and no operation overflows. */
#include "kernels/attention/attend.h"
#include "kernels/vec/vec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

extern const oxi_vec VEC;

enum { N = 40 };

static int failed;

static void expect(int holds, const char *what, float x, float y)
{
    if (holds) return;
    fprintf(stderr, "%s of %g is %g\n", what, (double)x, (double)y);
    failed = 1;
}

int main(void)
{
    static float odd[] = {NAN, -NAN, INFINITY, -INFINITY, 3.4e38f, -3.4e38f, 89, -105, 0, -0.0f, 1, 0, 0};
    /* A file's NaN may hold anything in its low bits, which become exponents. */
    memcpy(&odd[11], &(uint32_t){0x7fc000ff}, sizeof odd[11]);
    memcpy(&odd[12], &(uint32_t){0xffffffff}, sizeof odd[12]);
    static const oxi_fn exps[] = {OXI_FN_SILU, OXI_FN_GELU, OXI_FN_SIGMOID, OXI_FN_TANH};
    for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
        float x[N], y[N];
        for (int i = 0; i < N; i++) x[i] = odd[k];
        for (size_t f = 0; f < sizeof exps / sizeof *exps; f++) {
            VEC.glu(exps[f], x, NULL, N, y);
            if (isnan(odd[k])) expect(isnan(y[0]) && isnan(y[N - 1]), "a function", odd[k], y[0]);
            else if (isfinite(odd[k]) && fabsf(odd[k]) < 1e38f) expect(isfinite(y[0]), "a function", odd[k], y[0]);
        }
        VEC.softcap(x, 30, N, y);
        expect(isnan(odd[k]) ? isnan(y[0]) : fabsf(y[0]) <= 30, "softcap", odd[k], y[0]);
        for (int i = 0; i < N; i++) y[i] = (float)i;
        y[7] = odd[k];
        VEC.softmax(y, N);
        if (isnan(odd[k])) expect(isnan(y[7]) && isnan(y[0]), "softmax", odd[k], y[7]);
        int16_t codes[N];
        uint16_t half;
        const float scale = VEC.encode(x, N, 127, &half, codes);
        if (!isfinite(odd[k])) expect(isnan(scale) && codes[0] == 0, "the scale", odd[k], scale);

        /* Attention over one page, with the odd number among the queries, then among the keys. */
        for (int where = 0; where < 2; where++) {
            _Alignas(64) static float keys[OXI_PAGE_TOKENS * 16], values[OXI_PAGE_TOKENS * 16], q[16], out[16];
            static unsigned char scratch[1 << 20] __attribute__((aligned(64)));
            for (int i = 0; i < OXI_PAGE_TOKENS * 16; i++) keys[i] = 0.5f, values[i] = 1;
            for (int i = 0; i < 16; i++) q[i] = 1;
            if (where) keys[3] = odd[k];
            else q[3] = odd[k];
            const int32_t position = OXI_PAGE_TOKENS - 1;
            const float sink = odd[k];
            const uint8_t *const k_page = (const void *)keys, *const v_page = (const void *)values;
            float *const rows[] = {out};
            if (oxi_attend_scratch(16, 16) > sizeof scratch) return 2;
            VEC.attend(&(oxi_attend){.n_rows = 1, .key_dim = 16, .value_dim = 16, .value_pad = 16, .q = q, .positions = &position,
                                     .sinks = &sink, .out = rows, .n_keys = OXI_PAGE_TOKENS, .type = OXI_CACHE_F32,
                                     .keys = &k_page, .values = &v_page, .scratch = scratch});
            if (isnan(odd[k])) expect(isnan(out[0]), "attention", odd[k], out[0]);
        }
    }
    return failed;
}
