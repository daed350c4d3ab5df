/* The vector functions with a state (recurrent.h), for the instruction set this translation unit is compiled for. */
#include "kernels/vec/recurrent.h"
#include "kernels/vec/simd.h"
#include "kernels/vec/vec.h"

/* Vectors in a block of value columns. A block is computed for all tokens before the next one: its part of the state is one
 * stretch of memory and stays in the first cache. */
#define DELTA_VECTORS (OXI_DELTA_BLOCK / VW)

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

/* Where a block is a single vector, sums have two parts, of even and of odd rows, so that an addition need not wait for the
 * one before it. */
#define DELTA_PARTS (DELTA_VECTORS > 1 ? 1 : 2)

typedef struct delta_sums {
    vf part[DELTA_PARTS][DELTA_VECTORS];
} delta_sums;

INLINE vf total_of(const delta_sums *s, int j)
{
    return DELTA_PARTS > 1 ? s->part[0][j] + s->part[DELTA_PARTS - 1][j] : s->part[0][j];
}

/* sums = k' S */
INLINE void delta_read(const float *s, const float *k, int32_t key_dim, delta_sums *sums)
{
    delta_sums found = {0};
    for (int32_t i = 0; i < key_dim; i++) {
        const vf key = splat(k[i]);
        for (int j = 0; j < DELTA_VECTORS; j++) {
            vf *const part = &found.part[i % DELTA_PARTS][j];
            *part = fma_(key, load(s + i * OXI_DELTA_BLOCK + j * VW), *part);
        }
    }
    *sums = found;
}

/* Row i of S = kept * from + k delta', which results = q' S and sums = next' S add up. */
INLINE void delta_row(const float *from, float *to, vf kept, float k, float q, float next, const vf *delta, vf *results,
                      vf *sums)
{
    for (int j = 0; j < DELTA_VECTORS; j++) {
        const vf s = fma_(splat(k), delta[j], load(from + j * VW) * kept);
        store(to + j * VW, s);
        results[j] = fma_(splat(q), s, results[j]);
        sums[j] = fma_(splat(next), s, sums[j]);
    }
}

/* next: the key of the following token; that of this one if there is none. */
INLINE void delta_write(const float *from, float *to, float decay, const float *k, const float *q, const float *next,
                        int32_t key_dim, const vf *delta, delta_sums *results, delta_sums *sums)
{
    delta_sums r = {0}, n = {0};
    const vf kept = splat(decay);
    int32_t i = 0;
    for (; i + DELTA_PARTS <= key_dim; i += DELTA_PARTS)
        for (int part = 0; part < DELTA_PARTS; part++) {
            const int32_t at = i + part;
            delta_row(from + at * OXI_DELTA_BLOCK, to + at * OXI_DELTA_BLOCK, kept, k[at], q[at], next[at], delta, r.part[part],
                      n.part[part]);
        }
    if (i < key_dim)
        delta_row(from + i * OXI_DELTA_BLOCK, to + i * OXI_DELTA_BLOCK, kept, k[i], q[i], next[i], delta, r.part[0], n.part[0]);
    *results = r;
    *sums = n;
}

/* All tokens for the block that begins with value column `column`, of which n columns exist. */
static void delta_block(const oxi_delta *d, int32_t column, int32_t n)
{
    const int64_t offset = (int64_t)column * d->key_dim;
    const float *from = d->before + offset;
    float *const to = d->after + offset;
    delta_sums sums, results;
    delta_read(from, d->k, d->key_dim, &sums);
    for (int32_t t = 0; t < d->n_tokens; t++, from = to) {
        const float *k = d->k + t * d->k_stride, *q = d->q + t * d->q_stride, *v = d->v + t * d->v_stride + column;
        float *out = d->out + t * d->out_stride + column;
        vf delta[DELTA_VECTORS];
        for (int j = 0; j < DELTA_VECTORS; j++) {
            const int32_t left = n - j * VW;
            const vf value = left >= VW ? load(v + j * VW) : load_part(v + j * VW, left > 0 ? left : 0);
            delta[j] = (value - total_of(&sums, j) * d->decay[t]) * d->beta[t];
        }
        const float *next = t + 1 < d->n_tokens ? k + d->k_stride : k;
        delta_write(from, to, d->decay[t], k, q, next, d->key_dim, delta, &results, &sums);
        for (int j = 0; j < DELTA_VECTORS; j++) {
            const int32_t left = n - j * VW;
            if (left >= VW) store(out + j * VW, total_of(&results, j));
            else if (left > 0) store_part(out + j * VW, total_of(&results, j), left);
        }
    }
}

static void delta_rule(const oxi_delta *d)
{
    /* The padding of the last block is computed too: it stays zero. */
    const int32_t end = d->first + d->n;
    for (int32_t column = d->first; column < end; column += OXI_DELTA_BLOCK) delta_block(d, column, end - column);
}

/* A result has four parts, of every fourth row, so that an addition need not wait for the one before it. */
#define SCAN_PARTS 4

INLINE void scan_row(const float *from, float *to, vf kept, float k, float q, const vf *value, vf *part)
{
    for (int j = 0; j < DELTA_VECTORS; j++) {
        const vf s = fma_(splat(k), value[j], load(from + j * VW) * kept);
        store(to + j * VW, s);
        part[j] = fma_(splat(q), s, part[j]);
    }
}

/* All tokens for the block that begins with value column `column`, of which n columns exist. */
static void scan_block(const oxi_scan *scan, int32_t column, int32_t n)
{
    const oxi_delta *d = &scan->d;
    const int64_t offset = (int64_t)column * d->key_dim;
    const float *from = d->before + offset;
    float *const to = d->after + offset;
    for (int32_t t = 0; t < d->n_tokens; t++, from = to) {
        const float *k = d->k + t * d->k_stride, *q = d->q + t * d->q_stride, *v = d->v + t * d->v_stride + column;
        const vf kept = splat(d->decay[t]);
        vf x[DELTA_VECTORS], value[DELTA_VECTORS], part[SCAN_PARTS][DELTA_VECTORS] = {0};
        for (int j = 0; j < DELTA_VECTORS; j++) {
            const int32_t left = n - j * VW;
            x[j] = left >= VW ? load(v + j * VW) : load_part(v + j * VW, left > 0 ? left : 0);
            value[j] = x[j] * d->beta[t];
        }
        int32_t i = 0;
        for (; i + SCAN_PARTS <= d->key_dim; i += SCAN_PARTS)
            for (int p = 0; p < SCAN_PARTS; p++)
                scan_row(from + (i + p) * OXI_DELTA_BLOCK, to + (i + p) * OXI_DELTA_BLOCK, kept, k[i + p], q[i + p], value,
                         part[p]);
        for (int p = 0; i < d->key_dim; i++, p++)
            scan_row(from + i * OXI_DELTA_BLOCK, to + i * OXI_DELTA_BLOCK, kept, k[i], q[i], value, part[p]);
        for (int j = 0; j < DELTA_VECTORS; j++) {
            const int32_t left = n - j * VW;
            const vf found = fma_(splat(scan->skip), x[j], (part[0][j] + part[1][j]) + (part[2][j] + part[3][j]));
            float *const out = d->out + t * d->out_stride + column + j * VW;
            if (left >= VW) store(out, found);
            else if (left > 0) store_part(out, found, left);
        }
    }
}

static void selective_scan(const oxi_scan *scan)
{
    const int32_t end = scan->d.first + scan->d.n;
    for (int32_t column = scan->d.first; column < end; column += OXI_DELTA_BLOCK) scan_block(scan, column, end - column);
}

/* All tokens of a recurrence with a diagonal and a transition of rank 1, for the block that begins with value column `column`,
 * of which n columns exist. The pass that writes the state for one token also sums for the next. */
static void dplr_block(const oxi_dplr *d, int32_t column, int32_t n)
{
    const int64_t offset = (int64_t)column * d->key_dim;
    const float *from = d->before + offset;
    float *const to = d->after + offset;
    vf sums[2][DELTA_VECTORS] = {0};
    for (int32_t i = 0; i < d->key_dim; i++)
        for (int j = 0; j < DELTA_VECTORS; j++)
            sums[i % 2][j] = fma_(splat(d->a[i]), load(from + i * OXI_DELTA_BLOCK + j * VW), sums[i % 2][j]);
    for (int32_t t = 0; t < d->n_tokens; t++, from = to) {
        const float *q = d->q + t * d->q_stride, *w = d->w + t * d->w_stride, *k = d->k + t * d->k_stride;
        const float *a = d->a + (t + 1 < d->n_tokens ? t + 1 : t) * d->a_stride, *b = d->b + t * d->b_stride;
        const float *v = d->v + t * d->v_stride + column;
        vf value[DELTA_VECTORS], found[DELTA_VECTORS], part[2][DELTA_VECTORS] = {0}, next[2][DELTA_VECTORS] = {0};
        for (int j = 0; j < DELTA_VECTORS; j++) {
            const int32_t left = n - j * VW;
            value[j] = left >= VW ? load(v + j * VW) : load_part(v + j * VW, left > 0 ? left : 0);
            found[j] = sums[0][j] + sums[1][j];
        }
        for (int32_t i = 0; i < d->key_dim; i++)
            for (int j = 0; j < DELTA_VECTORS; j++) {
                const int64_t at = (int64_t)i * OXI_DELTA_BLOCK + j * VW;
                const vf s = fma_(splat(k[i]), value[j], fma_(splat(b[i]), found[j], load(from + at) * splat(w[i])));
                store(to + at, s);
                part[i % 2][j] = fma_(splat(q[i]), s, part[i % 2][j]);
                next[i % 2][j] = fma_(splat(a[i]), s, next[i % 2][j]);
            }
        memcpy(sums, next, sizeof sums);
        for (int j = 0; j < DELTA_VECTORS; j++) {
            const int32_t left = n - j * VW;
            float *const out = d->out + t * d->out_stride + column + j * VW;
            if (left >= VW) store(out, part[0][j] + part[1][j]);
            else if (left > 0) store_part(out, part[0][j] + part[1][j], left);
        }
    }
}

static void dplr(const oxi_dplr *d)
{
    const int32_t end = d->first + d->n;
    for (int32_t column = d->first; column < end; column += OXI_DELTA_BLOCK) dplr_block(d, column, end - column);
}
