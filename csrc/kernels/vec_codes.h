/* Attention over pages of codes (page.h): queries and probabilities become codes as well, and products are of integers.
 *
 * A query row has one scale. A score is the sum of its groups, each an exact integer times the key's scale. The scale of
 * a position's values is multiplied into the probabilities (those of q8_0 have a scale for every 32 values: as many sets
 * of probabilities then); these get a scale of their own for every OXI_CODE_RUN keys, so that small probabilities far from
 * the largest one keep their bits. Sums of integers have no order, so a row's result does not depend on the other rows of a
 * call. Included by vec_attend.h.
 */

static float encode(const float *x, int64_t n, float most, uint16_t *half, int16_t *codes)
{
    vf top = {0}, poison = {0}; /* 0 times a NaN or an infinity is no number */
    for (int64_t i = 0; i < n; i += VW) {
        const vf v = i + VW <= n ? load(x + i) : load_part(x + i, n - i);
        top = max_(top, max_(v, -v));
        poison += v * 0.0f;
    }
    float scale = largest(top) / most;
    if (sum(poison) != 0) scale = NAN;
    if (half) { /* up, so that no code is larger than allowed */
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

/* Codes of one vector at element `at`, those of q8_0 as 16-bit ones. */
INLINE vi load_pairs(const void *codes, bool bytes, int64_t at)
{
    return bytes ? load_bytes((const int8_t *)codes + at) : load_codes((const int16_t *)codes + at);
}

/* sums[r][v] += sum over pairs k of a[r][k] * pairs at b + k * ldb + v * apart, which like `lda` count codes. `ahead`, or
 * NULL, is fetched as it is read from b. */
INLINE void code_tile(int n_rows, int n_vec, bool bytes, const int16_t *a, int64_t lda, const void *b, int64_t at,
                      int64_t ldb, int64_t apart, const uint8_t *ahead, int64_t n_k, vi sums[TILE_ROWS][2])
{
    const int64_t step = (bytes ? 2 : 4) * n_vec * VW;
    for (int64_t k = 0; k < n_k; k++) {
        if (ahead) {
            __builtin_prefetch(ahead + k * step);
            if (step > 64) __builtin_prefetch(ahead + k * step + 64);
        }
        vi columns[2];
#pragma GCC unroll 2
        for (int v = 0; v < n_vec; v++) columns[v] = load_pairs(b, bytes, at + k * ldb + v * apart);
#pragma GCC unroll 8
        for (int r = 0; r < n_rows; r++) {
            int32_t pair;
            memcpy(&pair, a + r * lda + 2 * k, sizeof pair);
            const vi x = pair + (vi){0};
#pragma GCC unroll 2
            for (int v = 0; v < n_vec; v++) sums[r][v] = dot_pairs(sums[r][v], columns[v], x);
        }
    }
}

/* What a call computes with, in its scratch. */
typedef struct code_work {
    int16_t *queries;     /* [key groups][OXI_ATTEND_ROWS][dimensions of a group] */
    int32_t value_groups; /* how many scales a position's values have */
    float *query_scales;  /* [rows] */
    float *value_scales;  /* [value_groups][OXI_ATTEND_KEYS] of a block */
    int16_t *shares;      /* [value_groups][TILE_ROWS][OXI_CODE_RUN] probabilities times scales, as codes in values' order */
    float *share_scales;  /* [value_groups][TILE_ROWS] */
    bool poisoned;        /* some values are NaN, in scales that are taken for 0 */
} code_work;

/* scores[r][0..32) of one page, without the queries' scales. */
INLINE void code_scores(int rows, bool bytes, const int16_t *q, int32_t pairs, const uint16_t *scales, const void *codes,
                        const uint8_t *ahead, float *scores)
{
    const int32_t group = oxi_key_group(bytes ? OXI_CACHE_Q8_0 : OXI_CACHE_I16) / 2; /* pairs of dimensions */
    for (int32_t key = 0; key < OXI_PAGE_TOKENS; key += 2 * VW) {
        for (int32_t g = 0; g * group < pairs; g++) {
            const int32_t k = g * group, n = pairs - k < group ? pairs - k : group;
            vi sums[TILE_ROWS][2] = {0};
            code_tile(rows, 2, bytes, q + 2 * k * OXI_ATTEND_ROWS, 2 * group, codes, (int64_t)(key / 16 * pairs + k) * 32 + key % 16 * 2, 32,
                      VW == 16 ? (int64_t)pairs * 32 : 2 * VW,
                      ahead ? ahead + (int64_t)(key * pairs + k * 2 * VW) * (bytes ? 2 : 4) : NULL, n, sums);
#pragma GCC unroll 2
            for (int v = 0; v < 2; v++) {
                const vf scale = load_half(scales + g * OXI_PAGE_TOKENS + key + v * VW);
#pragma GCC unroll 8
                for (int r = 0; r < rows; r++) {
                    float *at = scores + r * SCORES + key + v * VW;
                    const vf s = to_float(sums[r][v]);
                    store(at, g ? fma_(s, scale, load(at)) : s * scale);
                }
            }
        }
    }
}

/* out[r][column ..] (+)= shares[r] . values of up to two pages; `group`: which of the shares go with these columns */
INLINE void code_values(int rows, int n_vec, bool bytes, const code_work *w, int32_t group, int32_t n_keys,
                        const void *const *codes, int32_t pad, int32_t column, const uint8_t *const *ahead, float *out,
                        int64_t ldo, bool accumulate)
{
    vi sums[TILE_ROWS][2] = {0};
    const int16_t *shares = w->shares + group * TILE_ROWS * OXI_CODE_RUN;
    for (int32_t key = 0; key < n_keys; key += OXI_PAGE_TOKENS) {
        const int32_t n = n_keys - key < OXI_PAGE_TOKENS ? n_keys - key : OXI_PAGE_TOKENS;
        const uint8_t *beside = ahead[key / OXI_PAGE_TOKENS];
        code_tile(rows, n_vec, bytes, shares + key, OXI_CODE_RUN, codes[key / OXI_PAGE_TOKENS], 2 * column, 2 * pad, 2 * VW,
                  beside ? beside + (int64_t)column * OXI_PAGE_TOKENS * (bytes ? 1 : 2) : NULL,
                  n < OXI_PAGE_TOKENS / 2 ? n : OXI_PAGE_TOKENS / 2, sums);
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

/* The number of rows as a constant for the compiler. */
#define ROW_CASE(n, call) \
    case n: call(n); break;
#if TILE_ROWS == 8
#define LAST_CASES(call) ROW_CASE(7, call) ROW_CASE(8, call)
#else
#define LAST_CASES(call)
#endif
#define ROW_CASES(rows, call)                                                                                              \
    switch (rows) {                                                                                                        \
        ROW_CASE(1, call) ROW_CASE(2, call) ROW_CASE(3, call) ROW_CASE(4, call) ROW_CASE(5, call) ROW_CASE(6, call)        \
        LAST_CASES(call)                                                                                                   \
    }

/* `ahead` is fetched with the first tile: the others find the page in the first cache. */
static void page_code_scores(const oxi_attend *a, const code_work *w, const uint8_t *page, const uint8_t *ahead,
                             float *scores)
{
    const int32_t pairs = (a->key_dim + 1) / 2;
    const uint16_t *scales = (const void *)page;
    const void *codes = page + oxi_key_codes(a->type, a->key_dim);
    for (int32_t r = 0; r < a->n_rows; r += TILE_ROWS, ahead = NULL) {
        const int16_t *q = w->queries + r * oxi_key_group(a->type);
        const int32_t rows = a->n_rows - r < TILE_ROWS ? a->n_rows - r : TILE_ROWS;
        float *to = scores + (int64_t)r * SCORES;
#define CALL(n) code_scores(n, false, q, pairs, scales, codes, ahead, to)
#define CALL_BYTES(n) code_scores(n, true, q, pairs, scales, codes, ahead, to)
        if (a->type == OXI_CACHE_Q8_0) ROW_CASES(rows, CALL_BYTES)
        else ROW_CASES(rows, CALL)
#undef CALL
#undef CALL_BYTES
    }
}

/* A tile's probabilities [rows][SCORES] times scales of values, over one run of keys from `key` on. A lane has positions i
 * and i + 16 of a page. */
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

/* Up to OXI_CODE_RUN keys from `key` of the block on, whose values begin at `codes`. */
static void run_code_values(const oxi_attend *a, const code_work *w, const float *probabilities, int32_t key, int32_t n_keys,
                            const void *const *codes, const uint8_t *const *ahead, float *out, int64_t ldo)
{
    const int32_t pad = a->value_pad, group = oxi_value_group(a->type, pad);
    static const uint8_t *const nothing[OXI_CODE_RUN / OXI_PAGE_TOKENS];
    for (int32_t r = 0; r < a->n_rows; r += TILE_ROWS, ahead = nothing) {
        const int32_t rows = a->n_rows - r < TILE_ROWS ? a->n_rows - r : TILE_ROWS;
        float *to = out + r * ldo;
        encode_shares(w, rows, probabilities + (int64_t)r * SCORES, key);
        for (int32_t column = 0; column < pad; column += 2 * VW) {
#define CALL(n) code_values(n, 2, false, w, 0, n_keys, codes, pad, column, ahead, to, ldo, key > 0)
#define CALL_BYTES(n) code_values(n, 2, true, w, column / group, n_keys, codes, pad, column, ahead, to, ldo, key > 0)
#define LAST(n) code_values(n, 1, false, w, 0, n_keys, codes, pad, column, ahead, to, ldo, key > 0)
#define LAST_BYTES(n) code_values(n, 1, true, w, column / group, n_keys, codes, pad, column, ahead, to, ldo, key > 0)
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

/* The scales of values of keys [first, first + n) of a block, 0 for the rest of the last run. */
static void scales_of_values(const oxi_attend *a, int32_t first_page, int32_t n, code_work *w)
{
    w->poisoned = false;
    for (int32_t g = 0; g < w->value_groups; g++) {
        float *to = w->value_scales + g * OXI_ATTEND_KEYS;
        for (int32_t i = 0; i < n; i += VW) {
            const uint16_t *at = (const uint16_t *)(const void *)a->values[first_page + i / OXI_PAGE_TOKENS];
            const vf scale = load_half(at + g * OXI_PAGE_TOKENS + i % OXI_PAGE_TOKENS);
            w->poisoned |= sum(scale * 0.0f) != 0;
            store(to + i, pick(scale < splat(INFINITY), scale, (vf){0}));
        }
        for (int32_t i = n; i < (n + OXI_CODE_RUN - 1) / OXI_CODE_RUN * OXI_CODE_RUN; i++) to[i] = 0;
    }
}

/* Do keys [from, to) have values that are NaN? */
static bool sees_poison(const oxi_attend *a, const code_work *w, int32_t from, int32_t to)
{
    for (int32_t i = from; i < to; i++) {
        const uint16_t *scales = (const uint16_t *)(const void *)a->values[i / OXI_PAGE_TOKENS] + i % OXI_PAGE_TOKENS;
        for (int32_t g = 0; g < w->value_groups; g++)
            if ((scales[g * OXI_PAGE_TOKENS] & 0x7c00) == 0x7c00) return true;
    }
    return false;
}

/* One row's softmax over keys [first, first + n), as far as the row sees them, like softmax_block; up to the end of the
 * last run of keys probabilities are 0. */
static void softmax_codes(const oxi_attend *a, int32_t row, int32_t first, int32_t n, const code_work *w, float *scores,
                          float *sums)
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
            for (int32_t i = start; i < end; i++) scores[i] += a->slopes[row] * (float)(first + i - position);
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
    for (int32_t i = 0; i < padded; i += VW) {
        const vf e = exp2_below(fma_(load(scores + i), by, from));
        store(scores + i, e);
        total += e;
    }
    sums[0] = m * scale;
    sums[1] = w->poisoned && sees_poison(a, w, first + start, first + end) ? NAN : sum(total);
}

/* The keys [first, first + n) of one block for all rows; a row's sums go to sums[row]. */
static void attend_codes(const oxi_attend *a, int32_t first, int32_t n, code_work *w, float *scores, float *sums)
{
    const int64_t stride = oxi_attend_part(a->value_pad);
    const int32_t n_pages = (n + OXI_PAGE_TOKENS - 1) / OXI_PAGE_TOKENS, first_page = first / OXI_PAGE_TOKENS;
    const size_t key_at = oxi_key_codes(a->type, a->key_dim), value_at = oxi_value_codes(a->type, a->value_dim);

    const bool few = a->n_rows <= TILE_ROWS;
    for (int32_t p = 0; p < n_pages; p++) {
        /* Few rows read keys so fast that memory is the limit: all values are asked for meanwhile. */
        const uint8_t *ahead = NULL;
        if (few) {
            fetch(a->values[first_page + p], value_at);
            ahead = a->values[first_page + p] + value_at;
        } else if (p + 1 < n_pages) {
            ahead = a->keys[first_page + p + 1] + key_at;
        }
        page_code_scores(a, w, a->keys[first_page + p], ahead, scores + p * OXI_PAGE_TOKENS);
    }
    scales_of_values(a, first_page, n_pages * OXI_PAGE_TOKENS, w);
    const fetching next = fetch_after(a, first);
    for (int32_t r = 0; r < a->n_rows; r++) {
        if (r < next.early) fetch(next.keys[r], oxi_key_bytes(a->type, a->key_dim));
        softmax_codes(a, r, first, n_pages * OXI_PAGE_TOKENS, w, scores + (int64_t)r * SCORES, sums + r * stride);
    }

    enum { RUN_PAGES = OXI_CODE_RUN / OXI_PAGE_TOKENS };
    for (int32_t p = 0; p < n_pages; p += RUN_PAGES) {
        const void *codes[RUN_PAGES];
        const uint8_t *ahead[RUN_PAGES] = {0};
        for (int32_t i = 0; i < RUN_PAGES && p + i < n_pages; i++) {
            codes[i] = a->values[first_page + p + i] + value_at;
            if (!few && p + i + RUN_PAGES < n_pages) ahead[i] = a->values[first_page + p + i + RUN_PAGES] + value_at;
            const uint8_t *beside = next.n ? fetch_beside(&next, p + i, n_pages) : NULL;
            if (!beside) continue;
            fetch(beside, key_at);
            ahead[i] = beside + key_at;
        }
        const int32_t key = p * OXI_PAGE_TOKENS, left = n - key;
        run_code_values(a, w, scores, key, left < OXI_CODE_RUN ? left : OXI_CODE_RUN, codes, ahead, sums + 16, stride);
    }
}

/* Divide up the scratch behind the buffer that floats use, and turn the queries into codes, one after the other in `row`. */
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
