/* The vector functions with a state (recurrent.h), for the instruction set this translation unit is compiled for. */
#include "kernels/vec/recurrent.h"
#include "kernels/vec/simd.h"
#include "kernels/vec/vec.h"

/* Vectors of value columns that are computed together: enough sums to hide the latency of additions, few enough to stay
 * in registers. Their part of the state stays in the first cache over all tokens. */
#define DELTA_VECTORS 2

static void conv_row(const float *const *x, const float *const *times, const float *kernel, int64_t kernel_stride,
                     int32_t n_taps, int64_t n, float *out)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) {
        vf total = {0};
        for (int32_t j = 0; j < n_taps; j++) {
            vf u = load(x[j] + i);
            if (times[j]) u *= load(times[j] + i);
            total = fma_(load(kernel + j * kernel_stride + i), u, total);
        }
        store(out + i, total);
    }
    if (i == n) return;
    vf total = {0};
    for (int32_t j = 0; j < n_taps; j++) {
        vf u = load_part(x[j] + i, n - i);
        if (times[j]) u *= load_part(times[j] + i, n - i);
        total = fma_(load_part(kernel + j * kernel_stride + i, n - i), u, total);
    }
    store_part(out + i, total, n - i);
}

/* sums = k' S for `count` vectors of columns; the j-th vector's rows begin at s[j]. */
INLINE void delta_read(const float *const *s, const float *k, int32_t key_dim, vf *sums, int count)
{
    for (int j = 0; j < count; j++) sums[j] = (vf){0};
    for (int32_t i = 0; i < key_dim; i++) {
        const vf key = splat(k[i]);
        for (int j = 0; j < count; j++) sums[j] = fma_(key, load(s[j] + i * OXI_DELTA_BLOCK), sums[j]);
    }
}

/* S = decay * from + k delta', results = q' S and, if there is another token, sums = next' S. */
INLINE void delta_write(const float *const *from, float *const *to, float decay, const float *k, const float *q,
                        const float *next, int32_t key_dim, const vf *delta, vf *results, vf *sums, int count)
{
    for (int j = 0; j < count; j++) results[j] = sums[j] = (vf){0};
    const vf kept = splat(decay);
    for (int32_t i = 0; i < key_dim; i++) {
        const vf key = splat(k[i]), query = splat(q[i]), following = splat(next ? next[i] : 0.0f);
        for (int j = 0; j < count; j++) {
            const vf s = fma_(key, delta[j], load(from[j] + i * OXI_DELTA_BLOCK) * kept);
            store(to[j] + i * OXI_DELTA_BLOCK, s);
            results[j] = fma_(query, s, results[j]);
            if (next) sums[j] = fma_(following, s, sums[j]);
        }
    }
}

/* All tokens for `count` vectors of columns from `column` on, of which n columns exist. */
INLINE void delta_columns(const oxi_delta *d, int32_t column, int32_t n, int count)
{
    const float *from[DELTA_VECTORS];
    float *to[DELTA_VECTORS];
    for (int j = 0; j < count; j++) {
        const int32_t at = column + j * VW;
        const int64_t offset = (int64_t)(at / OXI_DELTA_BLOCK) * d->key_dim * OXI_DELTA_BLOCK + at % OXI_DELTA_BLOCK;
        from[j] = d->before + offset;
        to[j] = d->after + offset;
    }
    vf sums[DELTA_VECTORS], delta[DELTA_VECTORS], results[DELTA_VECTORS];
    delta_read(from, d->k, d->key_dim, sums, count);
    for (int32_t t = 0; t < d->n_tokens; t++) {
        const float *k = d->k + t * d->k_stride, *q = d->q + t * d->q_stride, *v = d->v + t * d->v_stride + column;
        const float *next = t + 1 < d->n_tokens ? k + d->k_stride : NULL;
        float *out = d->out + t * d->out_stride + column;
        for (int j = 0; j < count; j++) {
            const int32_t left = n - j * VW;
            const vf value = left >= VW ? load(v + j * VW) : load_part(v + j * VW, left > 0 ? left : 0);
            delta[j] = (value - sums[j] * d->decay[t]) * d->beta[t];
        }
        if (next) delta_write(from, to, d->decay[t], k, q, next, d->key_dim, delta, results, sums, count);
        else delta_write(from, to, d->decay[t], k, q, NULL, d->key_dim, delta, results, sums, count);
        for (int j = 0; j < count; j++) {
            const int32_t left = n - j * VW;
            if (left >= VW) store(out + j * VW, results[j]);
            else if (left > 0) store_part(out + j * VW, results[j], left);
            from[j] = to[j];
        }
    }
}

static void delta_rule(const oxi_delta *d)
{
    /* A block's padding is computed too: it stays zero. */
    const int32_t end = (d->first + d->n + OXI_DELTA_BLOCK - 1) / OXI_DELTA_BLOCK * OXI_DELTA_BLOCK;
    int32_t column = d->first;
    for (; column + DELTA_VECTORS * VW <= end; column += DELTA_VECTORS * VW)
        delta_columns(d, column, d->first + d->n - column, DELTA_VECTORS);
    for (; column < end; column += VW) delta_columns(d, column, d->first + d->n - column, 1);
}
