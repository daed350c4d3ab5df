/* Attention of the vector tables an arm64 processor can get, against the formula in double precision; and its keys cut
 * into blocks and joined, to the same bits. Prints a line for each table and cache type. */
#include "kernels/attention/attend.h"
#include "kernels/isa/isa.h"
#include "kernels/vec/vec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 2 * OXI_ATTEND_KEYS + 70, PAGES = (KEYS + OXI_PAGE_TOKENS - 1) / OXI_PAGE_TOKENS, BLOCKS = 3,
       DIM = 24, VALUES = 20, PAD = 32, ROWS = 12 };

static float keys[PAGES * OXI_PAGE_TOKENS][DIM], values[PAGES * OXI_PAGE_TOKENS][PAD];
static _Alignas(64) uint8_t key_pages[PAGES][OXI_PAGE_TOKENS * (DIM + 2) * 4], value_pages[PAGES][OXI_PAGE_TOKENS * (PAD + 2) * 4];
static _Alignas(64) float queries[ROWS * DIM], parts[BLOCKS][ROWS][16 + PAD];

static float random_float(void)
{
    static unsigned state = 7;
    state = state * 1664525 + 1013904223;
    return (float)((int)(state >> 16) % 2001 - 1000) / 1000;
}

/* One position's values of a head, as integers: scales first, then codes, two that are multiplied together side by side. */
static void put_codes(const oxi_vec *vec, oxi_cache_type type, float *x, int dim, int group, int slot, bool key, uint8_t *page)
{
    int16_t codes[PAD];
    uint16_t *scales = (uint16_t *)(void *)page;
    for (int d = 0; d < dim; d += group) {
        const int n = dim - d < group ? dim - d : group;
        const float scale = vec->encode(x + d, n, (float)oxi_code_most(type), &scales[d / group * OXI_PAGE_TOKENS + slot], codes + d);
        for (int i = d; i < d + n; i++) x[i] = scale * (float)codes[i]; /* what the formula shall see */
    }
    uint8_t *to = page + (key ? oxi_key_codes(type, dim) : oxi_value_codes(type, dim));
    for (int d = 0; d < dim; d++) {
        if (type == OXI_CACHE_Q8_0) {
            const size_t at = key ? (size_t)(((slot / 16 * (dim / 4) + d / 4) * 16 + slot % 16) * 4 + d % 4)
                                  : oxi_value_at(type, PAD, slot / 4, d) + (size_t)(slot % 4);
            to[at] = (uint8_t)(codes[d] + (key ? 128 : 0));
        } else {
            const size_t at = key ? (size_t)((slot / 16 * (dim / 2) + d / 2) * 32 + slot % 16 * 2 + d % 2)
                                  : oxi_value_at(type, PAD, slot % 16, d) / 2 + (size_t)(slot / 16);
            ((int16_t *)(void *)to)[at] = codes[d];
        }
    }
}

static void put(const oxi_vec *vec, oxi_cache_type type, float x, int at, uint8_t *page)
{
    if (type == OXI_CACHE_F16) vec->to_f16(&x, 1, (uint16_t *)(void *)page + at);
    else ((float *)(void *)page)[at] = x;
}

static void fill(const oxi_vec *vec, oxi_cache_type type)
{
    for (int at = 0; at < PAGES * OXI_PAGE_TOKENS; at++) {
        const int p = at / OXI_PAGE_TOKENS, i = at % OXI_PAGE_TOKENS;
        for (int d = 0; d < DIM; d++) keys[at][d] = random_float();
        for (int d = 0; d < VALUES; d++) values[at][d] = random_float();
        if (oxi_cache_coded(type)) {
            put_codes(vec, type, keys[at], DIM, oxi_key_group(type), i, true, key_pages[p]);
            put_codes(vec, type, values[at], VALUES, oxi_value_group(type, VALUES), i, false, value_pages[p]);
            continue;
        }
        for (int d = 0; d < DIM; d++) put(vec, type, keys[at][d], i / 16 * DIM * 16 + d * 16 + i % 16, key_pages[p]);
        for (int d = 0; d < VALUES; d++) put(vec, type, values[at][d], i * PAD + d, value_pages[p]);
    }
    for (int i = 0; i < ROWS * DIM; i++) queries[i] = random_float();
    for (int r = 0; r < ROWS; r++) { /* q8_0 rounds queries to bytes, which shall not count as an error */
        int16_t codes[DIM];
        const float scale = vec->encode(queries + r * DIM, DIM, OXI_BYTE_MOST, NULL, codes);
        for (int d = 0; d < DIM && type == OXI_CACHE_Q8_0; d++) queries[r * DIM + d] = scale * (float)codes[d];
    }
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

static bool check(const oxi_vec *vec, oxi_cache_type type, int n_rows)
{
    static float whole[ROWS][VALUES], joined[ROWS][VALUES];
    float *out[ROWS];
    const uint8_t *k[PAGES], *v[PAGES];
    int32_t positions[ROWS];
    fill(vec, type);
    for (int p = 0; p < PAGES; p++) {
        k[p] = key_pages[p];
        v[p] = value_pages[p];
    }
    for (int r = 0; r < n_rows; r++) {
        positions[r] = KEYS - 1 - r / 4;
        out[r] = whole[r];
    }
    void *scratch = aligned_alloc(64, (oxi_attend_scratch(DIM, PAD) + 63) / 64 * 64);
    if (!scratch) return false;
    const oxi_attend all = {.n_rows = n_rows, .key_dim = DIM, .value_dim = VALUES, .value_pad = PAD, .q = queries,
                            .positions = positions, .out = out, .n_keys = KEYS, .keys = k, .values = v,
                            .type = type, .scratch = scratch};
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
    const double most = type == OXI_CACHE_F32 ? 1e-6 : type == OXI_CACHE_I16 ? 1e-4 : type == OXI_CACHE_F16 ? 1e-3 : 3e-3;
    if (!same || !(worst < most))
        fprintf(stderr, "%s, %d rows: off by %g, joined %s\n", vec->name, n_rows, worst, same ? "equal" : "differs");
    return same && worst < most;
}

int main(void)
{
    const char *names[] = {"f32", "f16", "i16", "q8_0"};
    const oxi_vec *tables[] = {&oxi_vec_generic, &oxi_vec_neon};
    for (int i = 0; i < 2; i++)
        for (int type = 0; type < OXI_CACHE_COUNT; type++) {
            if (!check(tables[i], (oxi_cache_type)type, 1) || !check(tables[i], (oxi_cache_type)type, ROWS)) return 1;
            printf("%s %s ok\n", tables[i]->name, names[type]);
        }
    return 0;
}
