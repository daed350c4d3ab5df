/* Run by test_fetching.py: attention over a few blocks of random pages, with every way of prefetching. The bits of the
 * unfinished sums must be those of the first way. Prints how many comparisons it made. */
#include "kernels/attention/attend.h"
#include "kernels/vec/vec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const oxi_vec VEC;

enum { DIM = 40, PAD = 48, MOST = 2 * OXI_ATTEND_KEYS + 70, PAGES = (MOST + OXI_PAGE_TOKENS - 1) / OXI_PAGE_TOKENS, ROWS = 9 };
enum { PAGE_BYTES = OXI_PAGE_TOKENS * (PAD + 4) * 4 };

static _Alignas(64) uint8_t keys[PAGES][PAGE_BYTES], values[PAGES][PAGE_BYTES];
static _Alignas(64) float queries[ROWS * DIM], parts[OXI_FETCHING_COUNT][ROWS * (16 + PAD)];

static int random_int(void)
{
    static unsigned state = 7;
    state = state * 1664525 + 1013904223;
    return (int)(state >> 16);
}

/* Scales from 1/64 to 1/8 as halves, then codes of at most 12 bits. */
static void fill(oxi_cache_type type, uint8_t *page, size_t codes_at, size_t bytes)
{
    for (size_t i = 0; i < codes_at / 2; i++) ((uint16_t *)(void *)page)[i] = (uint16_t)(0x2400 + random_int() % 0xc00);
    for (size_t i = codes_at; i < bytes; i += 2) {
        const int code = random_int() % 4001 - 2000;
        if (type == OXI_CACHE_Q8_0) page[i] = (uint8_t)code, page[i + 1] = (uint8_t)(code >> 4);
        else memcpy(page + i, &(int16_t){(int16_t)code}, 2);
    }
}

int main(void)
{
    static const oxi_cache_type types[] = {OXI_CACHE_I16, OXI_CACHE_Q8_0};
    static const int32_t lengths[] = {1, 33, 70, OXI_ATTEND_KEYS, OXI_ATTEND_KEYS + 33, MOST}, rows[] = {1, 5, 8, 9};
    void *scratch = aligned_alloc(64, (oxi_attend_scratch(DIM, PAD) + 63) / 64 * 64);
    const uint8_t *key_at[PAGES], *value_at[PAGES];
    int n_same = 0;
    for (int p = 0; p < PAGES; p++) key_at[p] = keys[p], value_at[p] = values[p];
    for (int i = 0; i < ROWS * DIM; i++) queries[i] = (float)(random_int() % 2001 - 1000) / 4000;
    for (int t = 0; t < 2; t++) {
        const oxi_cache_type type = types[t];
        if (oxi_key_bytes(type, DIM) > PAGE_BYTES || oxi_value_bytes(type, DIM) > PAGE_BYTES) return 2;
        for (int p = 0; p < PAGES; p++) {
            fill(type, keys[p], oxi_key_codes(type, DIM), oxi_key_bytes(type, DIM));
            fill(type, values[p], oxi_value_codes(type, DIM), oxi_value_bytes(type, DIM));
        }
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
            for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
                int32_t positions[ROWS];
                for (int r = 0; r < ROWS; r++) positions[r] = lengths[l] - 1;
                const size_t n = (size_t)rows[k] * (16 + PAD);
                for (int f = 0; f < OXI_FETCHING_COUNT; f++) {
                    memset(parts[f], 0, sizeof parts[f]);
                    VEC.attend(&(oxi_attend){.n_rows = rows[k], .key_dim = DIM, .value_dim = DIM, .value_pad = PAD,
                                             .q = queries, .positions = positions, .parts = parts[f], .n_keys = lengths[l],
                                             .type = type, .keys = key_at, .values = value_at, .next_keys = key_at,
                                             .n_next = 3, .fetching = oxi_fetchings[f], .scratch = scratch});
                    if (!(parts[f][1] > 0) || parts[f][16] == 0) return fprintf(stderr, "no result\n"), 1;
                    if (memcmp(parts[f], parts[0], n * sizeof(float)) != 0)
                        return fprintf(stderr, "type %d, %d rows, %d keys, way %d: other bits\n", type, rows[k], lengths[l], f), 1;
                    n_same += f > 0;
                }
            }
    }
    free(scratch);
    printf("%d\n", n_same);
    return 0;
}
