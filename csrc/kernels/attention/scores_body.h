/* Scores of queries and keys that are codes (page.h), without the scales of i16's queries. Included by codes_body.h. */

/* Lanes of a key's group. */
INLINE int32_t group_lanes(bool bytes) { return bytes ? oxi_key_group(OXI_CACHE_Q8_0) / 4 : oxi_key_group(OXI_CACHE_I16) / 2; }

/* sums[r][v] = products of one group of a tile's queries with two vectors of keys. */
INLINE void code_products(int rows, bool bytes, int32_t n_lanes, const int32_t *queries, const int32_t *query_sums,
                          const uint8_t *const *from, four_places *beside, vi sums[TILE_ROWS][2])
{
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) sums[r][0] = sums[r][1] = bytes ? begin_keys(query_sums[r]) : (vi){0};
    for (int64_t k = 0; k < n_lanes; k++) {
        fetch_beside(beside, k * 2 * VW * 4);
        if (bytes) {
            const key_quads columns[2] = {load_keys(from[0] + k * 64), load_keys(from[1] + k * 64)};
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) {
                const vi x = queries[r * group_lanes(true) + k] + (vi){0};
#pragma GCC unroll 2
                for (int v = 0; v < 2; v++) sums[r][v] = dot_keys(sums[r][v], columns[v], x);
            }
        } else {
            const vi columns[2] = {load_pairs(from[0] + k * 64), load_pairs(from[1] + k * 64)};
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) {
                const vi x = queries[r * group_lanes(false) + k] + (vi){0};
#pragma GCC unroll 2
                for (int v = 0; v < 2; v++) sums[r][v] = dot_pairs(sums[r][v], columns[v], x);
            }
        }
    }
}

/* scores[r][..] of one or two pages, for i16 without the queries' scales; `w` begins at the tile's rows. Two pages are read
 * in turns, a vector of keys of each, or one after the other. */
INLINE void code_scores(int rows, bool bytes, int32_t n_pages, const code_work *w, int32_t lanes, size_t codes_at,
                        const uint8_t *const *pages, const four_places *ahead, float *scores)
{
    const bool turns = n_pages == 2 && !ahead->run;
    for (int32_t i = 0; i < n_pages * OXI_PAGE_TOKENS / (2 * VW); i++) {
        const int32_t keys[2] = {turns ? i * VW : 2 * i * VW, turns ? OXI_PAGE_TOKENS + i * VW : (2 * i + 1) * VW};
        const uint8_t *from[2];
#pragma GCC unroll 2
        for (int v = 0; v < 2; v++) {
            const int32_t page = keys[v] / OXI_PAGE_TOKENS, key = keys[v] % OXI_PAGE_TOKENS;
            from[v] = pages[page] + codes_at + (key / 16 * lanes * 16 + key % 16) * 4;
        }
        for (int32_t g = 0, first = 0; first < lanes; g++, first += group_lanes(bytes)) {
            const int32_t n = lanes - first < group_lanes(bytes) ? lanes - first : group_lanes(bytes);
            four_places beside = further(ahead, (i * lanes + first) * 2 * VW * 4);
            const uint8_t *const at[2] = {from[0] + first * 64, from[1] + first * 64};
            vi sums[TILE_ROWS][2];
            code_products(rows, bytes, n, w->queries + first * OXI_ATTEND_ROWS, w->query_sums + g * OXI_ATTEND_ROWS, at,
                          &beside, sums);
            fetched_beside(&beside);
#pragma GCC unroll 2
            for (int v = 0; v < 2; v++) {
                const uint16_t *scales = (const uint16_t *)(const void *)pages[keys[v] / OXI_PAGE_TOKENS];
                const vf scale = load_half(scales + g * OXI_PAGE_TOKENS + keys[v] % OXI_PAGE_TOKENS);
#pragma GCC unroll 8
                for (int r = 0; r < rows; r++) {
                    float *to = scores + r * SCORES + keys[v];
                    const vf s = to_float(sums[r][v]), by = bytes ? scale * w->query_scales[g * OXI_ATTEND_ROWS + r] : scale;
                    store(to, g ? fma_(s, by, load(to)) : s * by);
                }
            }
        }
    }
}

/* `ahead` is prefetched with the first tile; the other tiles find the pages in the L1 cache. */
static void run_code_scores(const oxi_attend *a, const code_work *w, int32_t n_pages, const uint8_t *const *pages,
                            const four_places *ahead, float *scores)
{
    const int32_t lanes = oxi_key_lanes(a->type, a->key_dim);
    const size_t at = oxi_key_codes(a->type, a->key_dim);
    for (int32_t r = 0; r < a->n_rows; r += TILE_ROWS, ahead = &nowhere) {
        const int32_t rows = a->n_rows - r < TILE_ROWS ? a->n_rows - r : TILE_ROWS;
        code_work tile = *w;
        tile.queries += r * group_lanes(a->type == OXI_CACHE_Q8_0);
        tile.query_sums += r;
        tile.query_scales += r;
        float *to = scores + (int64_t)r * SCORES;
#define CALL(n, f) code_scores(n, false, n_pages, &tile, lanes, at, pages, f, to)
#define CALL_BYTES(n, f) code_scores(n, true, n_pages, &tile, lanes, at, pages, f, to)
        if (a->type == OXI_CACHE_Q8_0) ROW_CASES(rows, CALL_BYTES)
        else ROW_CASES(rows, CALL)
#undef CALL
#undef CALL_BYTES
    }
}
