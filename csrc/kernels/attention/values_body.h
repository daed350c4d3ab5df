/* Probabilities as codes, and their products with values that are codes (page.h). Included by codes_body.h.
 *
 * i16's probabilities have 13 bits. Those of q8_0 have 8, but 15 in the first run of keys of a sequence. Heads that look for
 * nothing rest on the first tokens (Xiao et al., Efficient Streaming Language Models with Attention Sinks, 2023), whose
 * values are small: beside such a weight, 8 bits would round the others of its run to 0.
 */

enum { SHARE_MOST = 255, FINE_MOST = 32767 }; /* largest share of q8_0, and in the first run */

/* largest_of[i] = the largest lane of x[i]. */
INLINE void largest_of_each(const vf x[RUNS], float largest_of[RUNS])
{
#if defined(__AVX512F__)
    __m512 t[4], u[2];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const __m512 a = (__m512)x[2 * i], b = (__m512)x[2 * i + 1];
        t[i] = _mm512_max_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) /* one in each quarter */
        u[i] = _mm512_max_ps(_mm512_shuffle_f32x4(t[2 * i], t[2 * i + 1], 0x88), _mm512_shuffle_f32x4(t[2 * i], t[2 * i + 1], 0xdd));
    const __m512 pairs = _mm512_max_ps(_mm512_unpacklo_ps(u[0], u[1]), _mm512_unpackhi_ps(u[0], u[1]));
    const __m512 each = _mm512_max_ps(pairs, _mm512_permute_ps(pairs, 0x4e)); /* 0 4 0 4, 1 5 1 5, 2 6 2 6, 3 7 3 7 */
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
    _mm256_storeu_ps(largest_of, _mm512_castps512_ps256(_mm512_permutexvar_ps(order, each)));
#else
    for (int i = 0; i < RUNS; i++) largest_of[i] = largest(x[i]);
#endif
}

typedef float v_runs __attribute__((vector_size(RUNS * 4)));
typedef int32_t v_runs_bits __attribute__((vector_size(RUNS * 4)));

/* The scales of a row's shares of one block, whose probabilities are p [n_runs][OXI_CODE_RUN]. `sequence`: the block is
 * the first. */
INLINE void find_share_scales(bool bytes, bool sequence, const code_work *w, int32_t row, int32_t n_runs, const float *p)
{
    enum { VECTORS = OXI_CODE_RUN / VW };
    float most[RUNS];
    for (int i = 0; i < RUNS; i++) most[i] = bytes ? SHARE_MOST : OXI_CODE_MOST;
    if (bytes && sequence) most[0] = FINE_MOST;
    for (int32_t g = 0; g < w->value_groups; g++) {
        const float *const scales = w->value_scales + g * OXI_ATTEND_KEYS;
        float *const scale = w->share_scales + (row * w->value_groups + g) * RUNS;
        float *const inverse = w->share_inverses + (row * w->value_groups + g) * RUNS;
        vf tops[RUNS];
        for (int32_t run = 0; run < RUNS; run++) {
            vf top = {0};
            if (run < n_runs) {
#pragma GCC unroll 16
                for (int v = 0; v < VECTORS; v++)
                    top = max_(top, load(p + run * OXI_CODE_RUN + v * VW) * load(scales + run * OXI_CODE_RUN + v * VW));
            }
            tops[run] = top;
        }
        largest_of_each(tops, scale);
        v_runs top, limit;
        memcpy(&top, scale, sizeof top);
        memcpy(&limit, most, sizeof limit);
        const v_runs codes = limit / top, size = top / limit;
        const v_runs_bits kept = (v_runs_bits)codes & (top > 1e-30f);
        memcpy(inverse, &kept, sizeof kept);
        memcpy(scale, &size, sizeof size);
    }
}

/* Encode a tile's probabilities [rows][SCORES] times the scales of values, over one run of keys from `key` on. i16: a lane
 * has positions i and i + 16 of a page. `w` begins at the tile's rows. */
INLINE void encode_shares_as(const code_work *w, bool bytes, bool fine, int32_t rows, const float *probabilities, int32_t key)
{
    enum { VECTORS = OXI_CODE_RUN / VW, HALF = OXI_PAGE_TOKENS / 2 / VW, TOGETHER = 4 / (int)sizeof(share) };
    for (int32_t r = 0; r < rows; r++) {
        const float *p = probabilities + (int64_t)r * SCORES + key;
        for (int32_t g = 0; g < w->value_groups; g++) {
            const float *const scales = w->value_scales + g * OXI_ATTEND_KEYS + key;
            const vf by = splat(w->share_inverses[(r * w->value_groups + g) * RUNS + key / OXI_CODE_RUN]);
            vi e[VECTORS];
#pragma GCC unroll 16
            for (int v = 0; v < VECTORS; v++) e[v] = round_(load(p + v * VW) * load(scales + v * VW) * by);
            if (!bytes) {
                int16_t *to = w->shares + (g * TILE_ROWS + r) * OXI_CODE_RUN;
#pragma GCC unroll 16
                for (int v = 0; v < VECTORS; v += v % (2 * HALF) == HALF - 1 ? HALF + 1 : 1, to += 2 * VW)
                    store_pairs(to, (e[v] & 0xffff) | (vi)((vu)e[v + HALF] << 16));
                continue;
            }
            for (int plane = 0; plane < (fine ? SHARE_PLANES : 1); plane++) {
                share *to = w->byte_shares + ((plane * w->value_groups + g) * TILE_ROWS + r) * OXI_CODE_RUN;
                int32_t total = 0;
#pragma GCC unroll 16
                for (int v = 0; v < VECTORS; v += TOGETHER) {
                    vi x[TOGETHER];
#pragma GCC unroll 4
                    for (int i = 0; i < TOGETHER; i++)
                        x[i] = !fine || SHARE_PLANES == 1 ? e[v + i] : plane ? e[v + i] >> 8 : e[v + i] & 255;
                    total += store_shares(to + v * VW, x);
                }
                w->share_sums[(plane * w->value_groups + g) * 16 + r] = total;
            }
        }
    }
}

/* Add the sums of a tile to `out`, or store them: as floats times the shares' scales [rows][value_groups][RUNS]. */
INLINE void put_values(int rows, int n_vec, vi sums[TILE_ROWS][2], const float *scales, int32_t value_groups, float *out,
                       int64_t ldo, bool accumulate)
{
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < n_vec; v++) {
            float *at = out + r * ldo + v * VW;
            const vf s = to_float(sums[r][v]), scale = splat(scales[r * value_groups * RUNS]);
            store(at, accumulate ? fma_(s, scale, load(at)) : s * scale);
        }
}

/* out[r][column ..] (+)= shares[r] . values of a run of two pages, which are read in turns or one after the other. Past the
 * last key the shares are 0. */
INLINE void pair_values(int rows, int n_vec, const code_work *w, int32_t run, int32_t group, const uint8_t *const *codes, int32_t pad, int32_t column,
                        const four_places *ahead, float *out, int64_t ldo, bool accumulate)
{
    enum { LANES = OXI_PAGE_TOKENS / 2 };
    vi sums[TILE_ROWS][2] = {0};
    four_places beside = further(ahead, column * OXI_PAGE_TOKENS * 4);
    const bool turns = !ahead->run;
    const int64_t at = (int64_t)oxi_value_at(OXI_CACHE_I16, pad, 0, column), step = (int64_t)oxi_value_at(OXI_CACHE_I16, pad, 1, column) - at;
    const int16_t *const shares = w->shares + group * TILE_ROWS * OXI_CODE_RUN;
    for (int half = 0; half < 2; half++) { /* of what is read */
        const uint8_t *const one = turns ? codes[0] + LANES / 2 * half * step : codes[half];
        const uint8_t *const from[RUN_PAGES] = {one + at, (turns ? codes[1] + LANES / 2 * half * step : one + step) + at};
        const int64_t next = turns ? step : 2 * step;
        const int16_t *const x0 = shares + (turns ? LANES : OXI_PAGE_TOKENS) * half;
        const int64_t x_apart = turns ? OXI_PAGE_TOKENS : 2, x_next = turns ? 2 : 4;
        for (int64_t pair = 0; pair < LANES / 2; pair++) {
            fetch_beside(&beside, (LANES / 2 * half + pair) * RUN_PAGES * n_vec * VW * 4);
#pragma GCC unroll 2
            for (int p = 0; p < RUN_PAGES; p++) {
                vi columns[2];
#pragma GCC unroll 2
                for (int v = 0; v < n_vec; v++) columns[v] = load_pairs(from[p] + pair * next + v * VW * 4);
#pragma GCC unroll 8
                for (int r = 0; r < rows; r++) {
                    const vi x = both(x0 + pair * x_next + p * x_apart + r * OXI_CODE_RUN);
#pragma GCC unroll 2
                    for (int v = 0; v < n_vec; v++) sums[r][v] = dot_pairs(sums[r][v], columns[v], x);
                }
            }
        }
    }
    fetched_beside(&beside);
    put_values(rows, n_vec, sums, w->share_scales + group * RUNS + run, w->value_groups, out + column, ldo, accumulate);
}

/* The same for bytes, whose columns have scales of their own: `group`. The high bytes of fine shares come first. */
INLINE void quad_values(int rows, int n_vec, const code_work *w, int32_t run, int32_t group, bool fine, const uint8_t *const *codes,
                        int32_t pad, int32_t column, const four_places *ahead, float *out, int64_t ldo, bool accumulate)
{
    enum { LANES = OXI_PAGE_TOKENS / 4 };
    vi sums[TILE_ROWS][2] = {0};
    const bool turns = !ahead->run;
    const int64_t first = (int64_t)oxi_value_at(OXI_CACHE_Q8_0, pad, 0, column), step = (int64_t)oxi_value_at(OXI_CACHE_Q8_0, pad, 1, column) - first;
    for (int plane = fine ? SHARE_PLANES - 1 : 0; plane >= 0; plane--) {
        const share *const shares = w->byte_shares + (plane * w->value_groups + group) * TILE_ROWS * OXI_CODE_RUN;
        const int32_t *const totals = w->share_sums + (plane * w->value_groups + group) * 16;
        four_places beside = plane ? nowhere : further(ahead, column * OXI_PAGE_TOKENS * 2);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
            for (int v = 0; v < n_vec; v++) sums[r][v] = sums[r][v] * 256 + begin_values(totals[r]);
        for (int64_t pair = 0; pair < LANES; pair++) {
            fetch_beside(&beside, pair * RUN_PAGES * n_vec * VW * 4);
#pragma GCC unroll 2
            for (int p = 0; p < RUN_PAGES; p++) {
                const int page = turns ? p : pair >= LANES / 2;
                const int64_t lane = turns ? pair : (2 * pair + p) % LANES;
                const share *at = shares + 4 * quad_at((int)lane + page * LANES);
                value_quads columns[2];
#pragma GCC unroll 2
                for (int v = 0; v < n_vec; v++) columns[v] = load_values(codes[page] + first + lane * step + v * VW * 4);
#pragma GCC unroll 8
                for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
                    for (int v = 0; v < n_vec; v++) sums[r][v] = dot_values(sums[r][v], columns[v], at + r * OXI_CODE_RUN);
            }
        }
        fetched_beside(&beside);
    }
    put_values(rows, n_vec, sums, w->share_scales + group * RUNS + run, w->value_groups, out + column, ldo, accumulate);
}

/* Add a run of keys from `key` of the block at `first` on; their values begin at `codes`. */
static void run_code_values(const oxi_attend *a, const code_work *w, const float *probabilities, int32_t first, int32_t key,
                            const uint8_t *const *codes, const four_places *ahead, float *out, int64_t ldo)
{
    const int32_t pad = a->value_pad, group = oxi_attend_value_group(a), run = key / OXI_CODE_RUN;
    const bool bytes = a->type == OXI_CACHE_Q8_0, fine = first + key == 0;
    for (int32_t r = 0; r < a->n_rows; r += TILE_ROWS, ahead = &nowhere) {
        const int32_t rows = a->n_rows - r < TILE_ROWS ? a->n_rows - r : TILE_ROWS;
        float *to = out + r * ldo;
        code_work tile = *w;
        tile.share_scales += (int64_t)r * w->value_groups * RUNS;
        tile.share_inverses += (int64_t)r * w->value_groups * RUNS;
        if (!bytes) encode_shares_as(&tile, false, false, rows, probabilities + (int64_t)r * SCORES, key);
        else if (fine) encode_shares_as(&tile, true, true, rows, probabilities + (int64_t)r * SCORES, key);
        else encode_shares_as(&tile, true, false, rows, probabilities + (int64_t)r * SCORES, key);
        for (int32_t column = 0; column < pad; column += 2 * VW) {
#define CALL(n, f) pair_values(n, 2, &tile, run, column / group, codes, pad, column, f, to, ldo, key > 0)
#define CALL_BYTES(n, f) quad_values(n, 2, &tile, run, column / group, fine, codes, pad, column, f, to, ldo, key > 0)
#define LAST(n, f) pair_values(n, 1, &tile, run, column / group, codes, pad, column, f, to, ldo, key > 0)
#define LAST_BYTES(n, f) quad_values(n, 1, &tile, run, column / group, fine, codes, pad, column, f, to, ldo, key > 0)
            if (column + 2 * VW <= pad) {
                if (bytes) ROW_CASES(rows, CALL_BYTES)
                else ROW_CASES(rows, CALL)
            } else {
                if (bytes) ROW_CASES(rows, LAST_BYTES)
                else ROW_CASES(rows, LAST)
            }
#undef CALL
#undef CALL_BYTES
#undef LAST
#undef LAST_BYTES
        }
    }
}
