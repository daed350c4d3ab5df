/* Attention over pages of codes (page.h): queries and probabilities become codes too, so products are of integers.
 *
 * A query row has one scale. A score is the sum of its groups, each an exact integer times the key's scale. The scale of
 * a position's values is multiplied into the probabilities (q8_0 has a scale for every 32 values, so it needs one set of
 * probabilities per scale). The probabilities get their own scale for every OXI_CODE_RUN keys, so that small
 * probabilities far from the largest one keep their bits. Integer sums do not depend on order, so a row's result does
 * not depend on the other rows of a call. Included by attend_body.h.
 */

enum { RUN_PAGES = OXI_CODE_RUN / OXI_PAGE_TOKENS };

static float encode(const float *x, int64_t n, float most, uint16_t *half, int16_t *codes)
{
    vf top = {0}, nonfinite = {0}; /* 0 times a NaN or an infinity is NaN */
    for (int64_t i = 0; i < n; i += VW) {
        const vf v = i + VW <= n ? load(x + i) : load_part(x + i, n - i);
        top = max_(top, max_(v, -v));
        nonfinite += v * 0.0f;
    }
    float scale = largest(top) / most;
    if (sum(nonfinite) != 0) scale = NAN;
    if (half) { /* round up, so that no code exceeds the limit */
        *half = float_to_half(scale);
        if (half_to_float(*half) < scale) ++*half;
        scale = half_to_float(*half);
    }
    const float inverse = scale > 0 && scale < INFINITY ? 1.0f / scale : 0.0f;
    if (inverse == 0 || inverse == INFINITY) {
        memset(codes, 0, (size_t)n * sizeof *codes);
        return scale == 0 || inverse == INFINITY ? 0.0f : NAN;
    }
    for (int64_t i = 0; i < n; i += VW) {
        int16_t part[VW];
        store_codes(part, round_((i + VW <= n ? load(x + i) : load_part(x + i, n - i)) * inverse));
        memcpy(codes + i, part, (size_t)(n - i < VW ? n - i : VW) * sizeof *part);
    }
    return scale;
}

/* One vector of codes; 8-bit codes (q8_0) are widened to 16 bits. */
INLINE vi load_pairs(const uint8_t *codes, bool bytes)
{
    return bytes ? load_bytes((const int8_t *)codes) : load_codes((const int16_t *)(const void *)codes);
}

/* The same pair of codes in every lane. */
INLINE vi both(const int16_t *pair)
{
    int32_t x;
    memcpy(&x, pair, sizeof x);
    return x + (vi){0};
}

/* A call's working memory, in its scratch. */
typedef struct code_work {
    int16_t *queries;     /* [key groups][OXI_ATTEND_ROWS][dimensions of a group] */
    int32_t value_groups; /* how many scales a position's values have */
    float *query_scales;  /* [rows] */
    float *value_scales;  /* [value_groups][OXI_ATTEND_KEYS] of a block */
    int16_t *shares;      /* [value_groups][TILE_ROWS][OXI_CODE_RUN] probabilities times scales, as codes in values' order */
    float *share_scales;  /* [value_groups][TILE_ROWS] */
    bool has_nonfinite;        /* some values are NaN; their scales count as 0 */
} code_work;

/* scores[r][..] of one or two pages, without the queries' scales. Two pages are read alternately, a vector of keys of
 * each. */
INLINE void code_scores(int rows, bool bytes, int32_t n_pages, const int16_t *q, int32_t pairs, size_t codes_at,
                        const uint8_t *const *pages, const four_places *ahead, float *scores)
{
    const int32_t group = oxi_key_group(bytes ? OXI_CACHE_Q8_0 : OXI_CACHE_I16) / 2; /* pairs of dimensions */
    const int32_t size = bytes ? 2 : 4; /* of a pair */
    for (int32_t i = 0; i < n_pages * OXI_PAGE_TOKENS / (2 * VW); i++) {
        const int32_t keys[2] = {n_pages == 2 ? i * VW : 2 * i * VW,
                                 n_pages == 2 ? OXI_PAGE_TOKENS + i * VW : (2 * i + 1) * VW};
        const uint8_t *from[2];
#pragma GCC unroll 2
        for (int v = 0; v < 2; v++) {
            const int32_t page = keys[v] / OXI_PAGE_TOKENS, key = keys[v] % OXI_PAGE_TOKENS;
            from[v] = pages[page] + codes_at + (key / 16 * pairs * 16 + key % 16) * size;
        }
        for (int32_t g = 0; g * group < pairs; g++) {
            const int32_t first = g * group, n = pairs - first < group ? pairs - first : group;
            const int16_t *codes = q + 2 * first * OXI_ATTEND_ROWS;
            const four_places beside = further(ahead, (i * pairs + first) * 2 * VW * size);
            const uint8_t *const one = from[0] + first * 16 * size, *const two = from[1] + first * 16 * size;
            vi sums[TILE_ROWS][2] = {0};
            for (int64_t k = 0; k < n; k++) {
                fetch_beside(&beside, k * 2 * VW * size);
                const vi columns[2] = {load_pairs(one + k * 16 * size, bytes), load_pairs(two + k * 16 * size, bytes)};
#pragma GCC unroll 8
                for (int r = 0; r < rows; r++) {
                    const vi x = both(codes + (r * group + k) * 2);
#pragma GCC unroll 2
                    for (int v = 0; v < 2; v++) sums[r][v] = dot_pairs(sums[r][v], columns[v], x);
                }
            }
#pragma GCC unroll 2
            for (int v = 0; v < 2; v++) {
                const uint16_t *scales = (const uint16_t *)(const void *)pages[keys[v] / OXI_PAGE_TOKENS];
                const vf scale = load_half(scales + g * OXI_PAGE_TOKENS + keys[v] % OXI_PAGE_TOKENS);
#pragma GCC unroll 8
                for (int r = 0; r < rows; r++) {
                    float *at = scores + r * SCORES + keys[v];
                    const vf s = to_float(sums[r][v]);
                    store(at, g ? fma_(s, scale, load(at)) : s * scale);
                }
            }
        }
    }
}

/* out[r][column ..] (+)= shares[r] . values of a run of two pages, read alternately; `group`: which shares belong to
 * these columns. Past the last key the shares are 0. */
INLINE void code_values(int rows, int n_vec, bool bytes, const code_work *w, int32_t group, const uint8_t *const *codes,
                        int32_t pad, int32_t column, const four_places *ahead, float *out, int64_t ldo, bool accumulate)
{
    vi sums[TILE_ROWS][2] = {0};
    const int16_t *shares = w->shares + group * TILE_ROWS * OXI_CODE_RUN;
    const int32_t size = bytes ? 2 : 4; /* of a pair */
    const four_places beside = further(ahead, column * OXI_PAGE_TOKENS * size);
    const uint8_t *from[RUN_PAGES];
#pragma GCC unroll 2
    for (int p = 0; p < RUN_PAGES; p++) from[p] = codes[p] + column * size;
    for (int64_t k = 0; k < OXI_PAGE_TOKENS / 2; k++) {
        fetch_beside(&beside, k * RUN_PAGES * n_vec * VW * size);
#pragma GCC unroll 2
        for (int p = 0; p < RUN_PAGES; p++) {
            vi columns[2];
#pragma GCC unroll 2
            for (int v = 0; v < n_vec; v++) columns[v] = load_pairs(from[p] + (k * pad + v * VW) * size, bytes);
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) {
                const vi x = both(shares + r * OXI_CODE_RUN + p * OXI_PAGE_TOKENS + 2 * k);
#pragma GCC unroll 2
                for (int v = 0; v < n_vec; v++) sums[r][v] = dot_pairs(sums[r][v], columns[v], x);
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < n_vec; v++) {
            float *at = out + r * ldo + column + v * VW;
            const vf s = to_float(sums[r][v]), scale = splat(w->share_scales[group * TILE_ROWS + r]);
            store(at, accumulate ? fma_(s, scale, load(at)) : s * scale);
        }
}

/* Constants for the compiler: the number of rows, and that a full tile prefetches nothing. */
#define ROW_CASE(n, call) \
    case n: call(n, ahead); break;
#if TILE_ROWS == 8
#define LAST_CASES(call) ROW_CASE(7, call) ROW_CASE(8, call)
#else
#define LAST_CASES(call)
#endif
#define ROW_CASES(rows, call)                                                                                          \
    switch (rows == TILE_ROWS && !ahead->any ? 0 : rows) {                                                             \
        case 0: call(TILE_ROWS, &nowhere); break;                                                                      \
        ROW_CASE(1, call) ROW_CASE(2, call) ROW_CASE(3, call) ROW_CASE(4, call) ROW_CASE(5, call) ROW_CASE(6, call)    \
        LAST_CASES(call)                                                                                               \
    }

/* `ahead` is prefetched with the first tile; the other tiles find the pages in the L1 cache. */
static void run_code_scores(const oxi_attend *a, const code_work *w, int32_t n_pages, const uint8_t *const *pages,
                            const four_places *ahead, float *scores)
{
    const int32_t pairs = (a->key_dim + 1) / 2;
    const size_t at = oxi_key_codes(a->type, a->key_dim);
    for (int32_t r = 0; r < a->n_rows; r += TILE_ROWS, ahead = &nowhere) {
        const int16_t *q = w->queries + r * oxi_key_group(a->type);
        const int32_t rows = a->n_rows - r < TILE_ROWS ? a->n_rows - r : TILE_ROWS;
        float *to = scores + (int64_t)r * SCORES;
#define CALL(n, f) code_scores(n, false, n_pages, q, pairs, at, pages, f, to)
#define CALL_BYTES(n, f) code_scores(n, true, n_pages, q, pairs, at, pages, f, to)
        if (a->type == OXI_CACHE_Q8_0) ROW_CASES(rows, CALL_BYTES)
        else ROW_CASES(rows, CALL)
#undef CALL
#undef CALL_BYTES
    }
}

/* Encode a tile's probabilities [rows][SCORES] times the scales of values, over one run of keys from `key` on. A lane
 * has positions i and i + 16 of a page. */
static void encode_shares(const code_work *w, int32_t rows, const float *probabilities, int32_t key)
{
    const float *const scales = w->value_scales + key;
    enum { HALF = OXI_PAGE_TOKENS / 2 / VW }; /* vectors in half a page */
    const vf magic = splat(12582912.0f); /* 1.5 * 2^23: adding it leaves the rounded number in the low bits */
    for (int32_t r = 0; r < rows; r++) {
        const float *p = probabilities + (int64_t)r * SCORES + key;
        for (int32_t g = 0; g < w->value_groups; g++) {
            int16_t *to = w->shares + (g * TILE_ROWS + r) * OXI_CODE_RUN;
            vf e[OXI_CODE_RUN / VW], top = {0};
#pragma GCC unroll 16
            for (int v = 0; v < OXI_CODE_RUN / VW; v++) {
                e[v] = load(p + v * VW) * load(scales + g * OXI_ATTEND_KEYS + v * VW);
                top = max_(top, e[v]);
            }
            const float most = largest(top);
            const vf inverse = splat(most > 1e-30f ? OXI_CODE_MOST / most : 0);
            w->share_scales[g * TILE_ROWS + r] = most * (1.0f / OXI_CODE_MOST);
#pragma GCC unroll 16
            for (int v = 0; v < OXI_CODE_RUN / VW; v++) e[v] = fma_(e[v], inverse, magic);
#pragma GCC unroll 16
            for (int v = 0; v < OXI_CODE_RUN / VW; v += v % (2 * HALF) == HALF - 1 ? HALF + 1 : 1, to += 2 * VW)
                store_pairs(to, ((vi)e[v] & 0xffff) | (vi)((vu)e[v + HALF] << 16));
        }
    }
}

/* Add a run of keys from `key` of the block on; their values begin at `codes`. */
static void run_code_values(const oxi_attend *a, const code_work *w, const float *probabilities, int32_t key,
                            const uint8_t *const *codes, const four_places *ahead, float *out, int64_t ldo)
{
    const int32_t pad = a->value_pad, group = oxi_value_group(a->type, pad);
    for (int32_t r = 0; r < a->n_rows; r += TILE_ROWS, ahead = &nowhere) {
        const int32_t rows = a->n_rows - r < TILE_ROWS ? a->n_rows - r : TILE_ROWS;
        float *to = out + r * ldo;
        encode_shares(w, rows, probabilities + (int64_t)r * SCORES, key);
        for (int32_t column = 0; column < pad; column += 2 * VW) {
#define CALL(n, f) code_values(n, 2, false, w, 0, codes, pad, column, f, to, ldo, key > 0)
#define CALL_BYTES(n, f) code_values(n, 2, true, w, column / group, codes, pad, column, f, to, ldo, key > 0)
#define LAST(n, f) code_values(n, 1, false, w, 0, codes, pad, column, f, to, ldo, key > 0)
#define LAST_BYTES(n, f) code_values(n, 1, true, w, column / group, codes, pad, column, f, to, ldo, key > 0)
            if (column + 2 * VW <= pad) {
                if (a->type == OXI_CACHE_Q8_0) ROW_CASES(rows, CALL_BYTES)
                else ROW_CASES(rows, CALL)
            } else {
                if (a->type == OXI_CACHE_Q8_0) ROW_CASES(rows, LAST_BYTES)
                else ROW_CASES(rows, LAST)
            }
#undef CALL
#undef CALL_BYTES
#undef LAST
#undef LAST_BYTES
        }
    }
}

/* Load the value scales of keys [first, first + n) of a block; 0 for the rest of the last run. */
static void scales_of_values(const oxi_attend *a, int32_t first_page, int32_t n, code_work *w)
{
    w->has_nonfinite = false;
    for (int32_t g = 0; g < w->value_groups; g++) {
        float *to = w->value_scales + g * OXI_ATTEND_KEYS;
        for (int32_t i = 0; i < n; i += VW) {
            const uint16_t *at = (const uint16_t *)(const void *)a->values[first_page + i / OXI_PAGE_TOKENS];
            const vf scale = load_half(at + g * OXI_PAGE_TOKENS + i % OXI_PAGE_TOKENS);
            w->has_nonfinite |= sum(scale * 0.0f) != 0;
            store(to + i, pick(scale < splat(INFINITY), scale, (vf){0}));
        }
        for (int32_t i = n; i < (n + OXI_CODE_RUN - 1) / OXI_CODE_RUN * OXI_CODE_RUN; i++) to[i] = 0;
    }
}

/* True if keys [from, to) have NaN values. */
static bool sees_nonfinite(const oxi_attend *a, const code_work *w, int32_t from, int32_t to)
{
    for (int32_t i = from; i < to; i++) {
        const uint16_t *scales = (const uint16_t *)(const void *)a->values[i / OXI_PAGE_TOKENS] + i % OXI_PAGE_TOKENS;
        for (int32_t g = 0; g < w->value_groups; g++)
            if ((scales[g * OXI_PAGE_TOKENS] & 0x7c00) == 0x7c00) return true;
    }
    return false;
}

/* One row's softmax over the keys of [first, first + n) that it sees, like softmax_block. From there to the end of the
 * last run of keys the probabilities are 0. */
static void softmax_codes(const oxi_attend *a, int32_t row, int32_t first, int32_t n, const code_work *w, float *scores,
                          page_list *beside, int32_t n_lines, float *sums)
{
    const int32_t position = a->positions[row], padded = (n + OXI_CODE_RUN - 1) / OXI_CODE_RUN * OXI_CODE_RUN;
    int32_t start;
    const int32_t end = seen_by(a, row, first, n, &start);
    float scale = w->query_scales[row];
    if (start >= end) {
        memset(scores, 0, (size_t)padded * sizeof *scores);
        sums[0] = -INFINITY;
        sums[1] = 0;
        return;
    }
    if (a->softcap != 0 || a->slopes) {
        for (int32_t i = 0; i < n; i += VW) store(scores + i, load(scores + i) * scale);
        if (a->softcap != 0) softcap(scores, a->softcap, n, scores);
        if (a->slopes)
            for (int32_t i = start; i < end; i++) scores[i] -= a->slopes[row] * fabsf((float)(first + i - position));
        scale = 1.0f;
    }
    for (int32_t i = 0; i < start; i++) scores[i] = -INFINITY;
    for (int32_t i = end; i < padded; i++) scores[i] = -INFINITY;

    vf one = splat(-INFINITY), two = one;
    for (int32_t i = 0; i < padded; i += 2 * VW) {
        one = max_(one, load(scores + i));
        two = max_(two, load(scores + i + VW));
    }
    const float m = largest(max_(one, two)), slope = scale * 1.44269504f;
    const vf by = splat(slope), from = splat(-m * slope);
    vf total = {0};
    for (int32_t i = 0; i < padded; i += 2 * VW) {
        if (n_lines > 0) fetch_lines(beside, 2 * n_lines);
        const vf e = exp2_below(fma_(load(scores + i), by, from)), f = exp2_below(fma_(load(scores + i + VW), by, from));
        store(scores + i, e);
        store(scores + i + VW, f);
        total += e;
        total += f;
    }
    sums[0] = m * scale;
    sums[1] = w->has_nonfinite && sees_nonfinite(a, w, first + start, first + end) ? NAN : sum(total);
}

/* Attention of all rows over the keys [first, first + n) of one block; a row's sums go to sums[row]. */
static void attend_codes(const oxi_attend *a, int32_t first, int32_t n, code_work *w, float *scores, float *sums)
{
    const int64_t stride = oxi_attend_part(a->value_pad);
    const int32_t n_pages = (n + OXI_PAGE_TOKENS - 1) / OXI_PAGE_TOKENS, first_page = first / OXI_PAGE_TOKENS;
    const int32_t n_runs = (n_pages + RUN_PAGES - 1) / RUN_PAGES, n_keys = n_pages * OXI_PAGE_TOKENS;
    const size_t key_at = oxi_key_codes(a->type, a->key_dim), key_bytes = oxi_key_bytes(a->type, a->key_dim);
    const size_t value_at = oxi_value_codes(a->type, a->value_dim), value_bytes = oxi_value_bytes(a->type, a->value_dim);
    const uint8_t *const *keys = a->keys + first_page, *const *values = a->values + first_page;
    const bool few = a->n_rows <= TILE_ROWS, one_run = few && a->fetching.one_run;
    const page_list next = keys_after(a, first);
    const page_span key_span = {keys, n_pages, key_at, key_bytes}, value_span = {values, n_pages, value_at, value_bytes};
    const page_span next_span = {next.pages, next.n, key_at, key_bytes};

    const int32_t fetched = one_run ? a->fetching.ahead : fetched_with_keys(n_pages); /* pages of values, with the keys */
    const int32_t with_keys = fetched < n_pages ? fetched : n_pages;
    for (int32_t run = 0, p = 0; run < n_runs; run++, p += RUN_PAGES) {
        const four_places ahead = one_run ? run_beside(key_span, value_span, p + a->fetching.ahead)
                                  : few   ? halves_beside(values, with_keys, run, n_runs, value_at, value_bytes)
                                          : pages_beside(keys, n_pages, p + RUN_PAGES, key_at, key_bytes);
        run_code_scores(a, w, n_pages - p < RUN_PAGES ? n_pages - p : RUN_PAGES, keys + p, &ahead, scores + p * OXI_PAGE_TOKENS);
    }

    page_list rest = {.pages = values + with_keys, .n = few ? n_pages - with_keys : 0, .at = value_at, .one_run = one_run};
    if (one_run) {
        rest.at = 0;
        rest.n = rest.n < a->fetching.with_softmax ? rest.n : a->fetching.with_softmax;
    }
    for (int32_t p = 0; !one_run && p < rest.n; p++) fetch(rest.pages[p], value_at);
    if (rest.n > 0) rest.end = value_bytes;
    const int32_t lines = rest.n * (int32_t)((value_bytes - rest.at) / 64), steps = a->n_rows * n_keys / VW;
    scales_of_values(a, first_page, n_keys, w);
    for (int32_t r = 0; r < a->n_rows; r++)
        softmax_codes(a, r, first, n_keys, w, scores + (int64_t)r * SCORES, &rest, (lines + steps - 1) / steps, sums + r * stride);

    for (int32_t run = 0, p = 0; run < n_runs; run++, p += RUN_PAGES) {
        const uint8_t *codes[RUN_PAGES];
        for (int32_t i = 0; i < RUN_PAGES; i++) /* a missing page has shares of 0 */
            codes[i] = values[p + i < n_pages ? p + i : p] + value_at;
        const four_places ahead = one_run ? run_beside(value_span, next_span, p + with_keys + rest.n)
                                  : few   ? halves_beside(next.pages, next.n, run, n_runs, key_at, key_bytes)
                                          : pages_beside(values, n_pages, p + RUN_PAGES, value_at, value_bytes);
        run_code_values(a, w, scores, p * OXI_PAGE_TOKENS, codes, &ahead, sums + 16, stride);
    }
}

/* Divide up the scratch behind the float path's buffer, and encode the queries one after the other through `row`. */
static code_work begin_codes(const oxi_attend *a, uint8_t *buffer, int16_t *row)
{
    const int32_t group = oxi_key_group(a->type);
    const size_t values = 4 * (size_t)a->value_pad, widest = (size_t)a->key_dim > values ? (size_t)a->key_dim : values;
    code_work w;
    w.value_groups = oxi_groups(a->value_dim, oxi_value_group(a->type, a->value_dim));
    const size_t groups = (size_t)oxi_groups(a->value_pad, 32); /* at least as many */
    w.value_scales = (float *)(void *)buffer + OXI_PAGE_TOKENS * widest;
    w.query_scales = w.value_scales + OXI_ATTEND_KEYS * groups;
    w.share_scales = w.query_scales + OXI_ATTEND_ROWS;
    w.shares = (int16_t *)(w.share_scales + TILE_ROWS * groups);
    w.queries = w.shares + TILE_ROWS * groups * OXI_CODE_RUN;
    for (int32_t r = 0; r < a->n_rows; r++) {
        const float scale = encode(a->q + (int64_t)r * a->key_dim, a->key_dim, OXI_CODE_MOST, NULL, row);
        row[a->key_dim] = 0; /* the last pair may have one dimension */
        for (int32_t d = 0; d < a->key_dim; d += group) {
            const int32_t left = (a->key_dim + 1) / 2 * 2 - d;
            memcpy(w.queries + ((int64_t)d * OXI_ATTEND_ROWS + r * group), row + d,
                   (size_t)(left < group ? left : group) * sizeof *row);
        }
        w.query_scales[r] = scale == 0 ? 1.0f : scale;
    }
    return w;
}
