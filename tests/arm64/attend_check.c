/* Attention of the vector tables an arm64 processor can get, against the formula in double precision; and its keys cut
 * into blocks and joined, to the same bits. Prints a line for each table and cache type. */
#include "kernels/vec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 2 * OXI_ATTEND_KEYS + 70, PAGES = (KEYS + OXI_PAGE_TOKENS - 1) / OXI_PAGE_TOKENS, BLOCKS = 3,
       DIM = 24, VALUES = 20, PAD = 32, ROWS = 12 };

static float keys[PAGES * OXI_PAGE_TOKENS][DIM], values[PAGES * OXI_PAGE_TOKENS][PAD];
static _Alignas(64) float key_pages[PAGES][OXI_PAGE_TOKENS * DIM], value_pages[PAGES][OXI_PAGE_TOKENS * PAD];
static _Alignas(64) float queries[ROWS * DIM], parts[BLOCKS][ROWS][16 + PAD];

static float random_float(void)
{
    static unsigned state = 7;
    state = state * 1664525 + 1013904223;
    return (float)((int)(state >> 16) % 2001 - 1000) / 1000;
}

static void put(const oxi_vec *vec, bool half, const float *from, int64_t n, float *page)
{
    if (half) vec->to_f16(from, n, (uint16_t *)(void *)page);
    else memcpy(page, from, (size_t)n * sizeof *from);
}

static void fill(const oxi_vec *vec, bool half)
{
    for (int p = 0; p < PAGES; p++) {
        float k[OXI_PAGE_TOKENS * DIM];
        for (int i = 0; i < OXI_PAGE_TOKENS; i++) {
            const int at = p * OXI_PAGE_TOKENS + i;
            for (int d = 0; d < DIM; d++) k[i / 16 * DIM * 16 + d * 16 + i % 16] = keys[at][d] = random_float();
            for (int d = 0; d < VALUES; d++) values[at][d] = random_float();
        }
        put(vec, half, k, OXI_PAGE_TOKENS * DIM, key_pages[p]);
        put(vec, half, values[p * OXI_PAGE_TOKENS], OXI_PAGE_TOKENS * PAD, value_pages[p]);
    }
    for (int i = 0; i < ROWS * DIM; i++) queries[i] = random_float();
}

static double larger(double a, double b) { return b > a || isnan(b) ? b : a; }

static double error_of(const float *q, int position, const float *got)
{
    static double scores[KEYS];
    double largest = -INFINITY, total = 0, sums[VALUES] = {0}, worst = 0;
    for (int i = 0; i <= position; i++) {
        scores[i] = 0;
        for (int d = 0; d < DIM; d++) scores[i] += (double)q[d] * keys[i][d];
        largest = larger(largest, scores[i]);
    }
    for (int i = 0; i <= position; i++) {
        const double e = exp(scores[i] - largest);
        total += e;
        for (int d = 0; d < VALUES; d++) sums[d] += e * values[i][d];
    }
    for (int d = 0; d < VALUES; d++) worst = larger(worst, fabs(sums[d] / total - got[d]));
    return worst;
}

static bool check(const oxi_vec *vec, bool half, int n_rows)
{
    static float whole[ROWS][VALUES], joined[ROWS][VALUES];
    float *out[ROWS];
    const uint8_t *k[PAGES], *v[PAGES];
    int32_t positions[ROWS];
    fill(vec, half);
    for (int p = 0; p < PAGES; p++) {
        k[p] = (const uint8_t *)key_pages[p];
        v[p] = (const uint8_t *)value_pages[p];
    }
    for (int r = 0; r < n_rows; r++) {
        positions[r] = KEYS - 1 - r / 4;
        out[r] = whole[r];
    }
    void *scratch = aligned_alloc(64, (oxi_attend_scratch(DIM, PAD) + 63) / 64 * 64);
    if (!scratch) return false;
    const oxi_attend all = {.n_rows = n_rows, .key_dim = DIM, .value_dim = VALUES, .value_pad = PAD, .q = queries,
                            .positions = positions, .out = out, .n_keys = KEYS, .keys = k, .values = v,
                            .type = half ? OXI_CACHE_F16 : OXI_CACHE_F32, .scratch = scratch};
    vec->attend(&all);
    for (int b = 0; b < BLOCKS; b++) {
        oxi_attend one = all;
        one.first_key = b * OXI_ATTEND_KEYS;
        one.n_keys = one.first_key + OXI_ATTEND_KEYS < KEYS ? one.first_key + OXI_ATTEND_KEYS : KEYS;
        one.parts = parts[b][0];
        vec->attend(&one);
    }
    free(scratch);
    double worst = 0;
    for (int r = 0; r < n_rows; r++) {
        vec->attend_join(parts[0][r], ROWS * (16 + PAD), BLOCKS, NULL, VALUES, joined[r]);
        worst = larger(worst, error_of(queries + r * DIM, positions[r], whole[r]));
    }
    const bool same = !memcmp(whole, joined, (size_t)n_rows * sizeof *whole);
    if (!same || !(worst < (half ? 1e-3 : 1e-6)))
        fprintf(stderr, "%s, %d rows: off by %g, joined %s\n", vec->name, n_rows, worst, same ? "equal" : "differs");
    return same && worst < (half ? 1e-3 : 1e-6);
}

int main(void)
{
    const oxi_vec *tables[] = {&oxi_vec_generic, &oxi_vec_neon};
    for (int i = 0; i < 2; i++)
        for (int half = 0; half < 2; half++) {
            if (!check(tables[i], half, 1) || !check(tables[i], half, ROWS)) return 1;
            printf("%s %s ok\n", tables[i]->name, half ? "f16" : "f32");
        }
    return 0;
}
