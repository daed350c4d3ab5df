/* Quantises activations, in C that the compiler flags of every instruction set vectorise to the same results.
 *
 * x -> q = round(x * 127 / max|x|), to nearest even, and d = max|x| / 127. A block whose largest magnitude is below
 * 2^-100 counts as zero. A block with a NaN or an infinity gets d = NaN and q = 0, so that every output of the token is
 * NaN.
 */
#ifndef OXI_QUANTIZE_ACTIVATIONS_H
#define OXI_QUANTIZE_ACTIVATIONS_H

#include "kernels/pack/layout.h"

#include "quant/half.h"

#include <math.h>

static inline float quantize_span(const float *x, unsigned n, int8_t *q)
{
    uint32_t most = 0;
    for (unsigned i = 0; i < n; i++) {
        const uint32_t body = oxi_float_bits(x[i]) & 0x7fffffffu;
        most = body > most ? body : most;
    }
    const float top = oxi_bits_float(most);
    if (most >= 0x7f800000u || top < 0x1p-100f) {
        memset(q, 0, n);
        return most >= 0x7f800000u ? NAN : 0.0f;
    }
    const float inverse = 127.0f / top;
    for (unsigned i = 0; i < n; i++) {
        /* Adding 1.5 * 2^23 rounds to an integer, which is then in the low bits. */
        const uint32_t bits = oxi_float_bits(x[i] * inverse + 12582912.0f);
        q[i] = (int8_t)(uint8_t)bits;
    }
    return top / 127.0f;
}

/* Put sixteen columns in the order of code registers (layout.h): a four-by-four transposition. */
static inline void order_columns(int8_t *q)
{
    int8_t to[16];
    for (int k = 0; k < 4; k++)
        for (int b = 0; b < 4; b++) to[4 * k + b] = q[4 * b + k];
    memcpy(q, to, sizeof to);
}

static inline int sum_of(const int8_t *q, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++) sum += q[i];
    return sum;
}

static inline void quantize_record(const float *x, int cols, bool per_group, oxi_act_record *r)
{
    if (cols < OXI_CHUNK) memset(r, 0, sizeof *r);
    if (per_group)
        for (int g = 0; g < cols / OXI_GROUP; g++) r->d[g] = quantize_span(x + g * 32, 32, r->q + g * 32);
    else {
        r->d[0] = quantize_span(x, (unsigned)cols, r->q);
        r->start256 = 0;
    }
    for (int g = 0; g < cols / OXI_GROUP; g++) {
        const int a = sum_of(r->q + 32 * g, 16), b = sum_of(r->q + 32 * g + 16, 16);
        r->start16[2 * g] = -OXI_ACT_ZERO * a;
        r->start16[2 * g + 1] = -OXI_ACT_ZERO * b;
        r->start32[g] = -OXI_ACT_ZERO * (a + b);
        if (per_group) continue;
        r->start256 += r->start32[g];
        r->sum32[g] = (int16_t)(a + b);
        r->sum16[2 * g] = (int16_t)a;
        r->sum16[2 * g + 1] = (int16_t)b;
    }
    for (int at = 0; at < cols; at += 16) order_columns(r->q + at);
}

static inline void quantize_rows(const float *x, int64_t ldx, int64_t t0, int64_t t1, int64_t n_tokens, int64_t n_cols,
                                 bool per_group, oxi_act_record *act)
{
    for (int64_t c = 0; c < oxi_n_chunks(n_cols); c++)
        for (int64_t t = t0; t < t1; t++)
            quantize_record(x + t * ldx + c * OXI_CHUNK, oxi_chunk_cols(n_cols, c), per_group, act + c * n_tokens + t);
}

static void quantize_q8_32(const float *x, int64_t ldx, int64_t t0, int64_t t1, int64_t n_tokens, int64_t n_cols, void *act)
{
    quantize_rows(x, ldx, t0, t1, n_tokens, n_cols, true, act);
}

static void quantize_q8_256(const float *x, int64_t ldx, int64_t t0, int64_t t1, int64_t n_tokens, int64_t n_cols, void *act)
{
    quantize_rows(x, ldx, t0, t1, n_tokens, n_cols, false, act);
}

static void copy_f32(const float *x, int64_t ldx, int64_t t0, int64_t t1, int64_t n_tokens, int64_t n_cols, void *act)
{
    float *out = act;
    for (int64_t c = 0; c < oxi_n_chunks(n_cols); c++)
        for (int64_t t = t0; t < t1; t++) {
            const int cols = oxi_chunk_cols(n_cols, c);
            float *to = out + (c * n_tokens + t) * OXI_CHUNK;
            memcpy(to, x + t * ldx + c * OXI_CHUNK, (size_t)cols * sizeof(float));
            memset(to + cols, 0, (size_t)(OXI_CHUNK - cols) * sizeof(float));
        }
}

#define OXI_QUANTIZE_TABLE                                                                                             \
    {[OXI_ACT_F32] = copy_f32, [OXI_ACT_BF16] = copy_f32, [OXI_ACT_Q8_32] = quantize_q8_32,                            \
     [OXI_ACT_Q8_256] = quantize_q8_256}

#endif
