/* Attention over pages of codes (page.h): queries and probabilities become codes as well, and products are of integers.
 *
 * A query row has one scale. A score is the sum of its groups, each an exact integer times the key's scale. Values have
 * one scale for each position, which is multiplied into the probabilities; these get a scale of their own for every
 * OXI_CODE_RUN keys, so that small probabilities far from the largest one keep their bits. Where a position's values have
 * several scales (q8_0), its codes are brought to the largest of them first. Sums of integers have no order, so a row's
 * result does not depend on the other rows of a call. Included by vec_attend.h.
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

#define WIDER 5 /* bits that codes of values gain when they become 16-bit ones: 127 is 4064 then */

/* c[r][0 .. n_vec * VW) = sum over pairs k of a[r][k] * pairs at b + k * ldb. `lda` and `ldb` count codes; `ahead`, or
 * NULL, is fetched as it is read from b. */
INLINE void code_tile(int n_rows, int n_vec, const int16_t *a, int64_t lda, const int16_t *b, int64_t ldb, int64_t apart,
                      const uint8_t *ahead, int64_t n_k, vi sums[TILE_ROWS][2])
{
    for (int64_t k = 0; k < n_k; k++) {
        if (ahead)
            for (int line = 0; line < n_vec * VW * 4; line += 64) __builtin_prefetch(ahead + k * n_vec * VW * 4 + line);
        vi columns[2];
#pragma GCC unroll 2
        for (int v = 0; v < n_vec; v++) columns[v] = load_codes(b + k * ldb + v * apart);
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
    int16_t *queries;     /* [rows][query_pad] */
    int32_t query_pad;    /* even */
    float *query_scales;  /* [rows] */
    float *value_scales;  /* [OXI_ATTEND_KEYS] of a block */
    int16_t *ratios;      /* [groups][OXI_ATTEND_KEYS] a group's scale over the position's, 1 as 32768 */
    int16_t *buffer;      /* a page of keys or two of values, as 16-bit codes */
    bool poisoned;        /* some values are NaN, in scales that are taken for 0 */
} code_work;

/* scores[r][0..32) of one page, without the queries' scales; `group` pairs of dimensions share a scale */
INLINE void code_scores(int rows, const int16_t *q, int64_t ldq, int32_t pairs, int32_t group, const uint16_t *scales,
                        const int16_t *codes, const uint8_t *ahead, float *scores)
{
    for (int32_t key = 0; key < OXI_PAGE_TOKENS; key += 2 * VW) {
        for (int32_t g = 0; g * group < pairs; g++) {
            const int32_t k = g * group, n = pairs - k < group ? pairs - k : group;
            vi sums[TILE_ROWS][2] = {0};
            code_tile(rows, 2, q + 2 * k, ldq, codes + (int64_t)(key / 16 * pairs + k) * 32 + key % 16 * 2, 32,
                      VW == 16 ? (int64_t)pairs * 32 : 2 * VW,
                      ahead ? ahead + (int64_t)(key * pairs + k * 2 * VW) * 4 : NULL, n, sums);
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

/* out[r][column ..] (+)= scale[r] * probabilities[r] . values of up to two pages */
INLINE void code_values(int rows, int n_vec, const int16_t *p, const float *scales, int32_t n_keys,
                        const int16_t *const *codes, int32_t pad, int32_t column, const uint8_t *const *ahead, float *out,
                        int64_t ldo, bool accumulate)
{
    vi sums[TILE_ROWS][2] = {0};
    for (int32_t key = 0; key < n_keys; key += OXI_PAGE_TOKENS) {
        const int32_t n = n_keys - key < OXI_PAGE_TOKENS ? n_keys - key : OXI_PAGE_TOKENS;
        const uint8_t *fetch = ahead ? ahead[key / OXI_PAGE_TOKENS] + (int64_t)column * OXI_PAGE_TOKENS * 2 : NULL;
        code_tile(rows, n_vec, p + key, 2 * SCORES, codes[key / OXI_PAGE_TOKENS] + 2 * column, 2 * pad, 2 * VW, fetch,
                  (n + 1) / 2, sums);
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < n_vec; v++) {
            float *at = out + r * ldo + column + v * VW;
            const vf s = to_float(sums[r][v]), scale = splat(scales[r * SCORES]);
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

static void page_code_scores(const oxi_attend *a, const code_work *w, const uint16_t *scales, const int16_t *codes,
                             const uint8_t *ahead, float *scores)
{
    const int32_t pairs = w->query_pad / 2, group = oxi_key_group(a->type) / 2;
    for (int32_t r = 0; r < a->n_rows; r += TILE_ROWS) {
        const int16_t *q = w->queries + (int64_t)r * w->query_pad;
        float *to = scores + (int64_t)r * SCORES;
#define CALL(n) code_scores(n, q, w->query_pad, pairs, group, scales, codes, ahead, to)
        ROW_CASES(a->n_rows - r < TILE_ROWS ? a->n_rows - r : TILE_ROWS, CALL)
#undef CALL
    }
}

/* Up to OXI_CODE_RUN keys; p and scales: where softmax_codes has left them. */
static void page_code_values(const oxi_attend *a, const float *p, const float *scales, int32_t n_keys,
                             const int16_t *const *codes, const uint8_t *const *ahead, float *out, int64_t ldo, bool accumulate)
{
    const int32_t pad = a->value_pad;
    for (int32_t r = 0; r < a->n_rows; r += TILE_ROWS) {
        const int16_t *from = (const int16_t *)(const void *)(p + (int64_t)r * SCORES);
        const float *s = scales + (int64_t)r * SCORES;
        float *to = out + r * ldo;
        int32_t column = 0;
        for (; column + 2 * VW <= pad; column += 2 * VW) {
#define CALL(n) code_values(n, 2, from, s, n_keys, codes, pad, column, ahead, to, ldo, accumulate)
            ROW_CASES(a->n_rows - r < TILE_ROWS ? a->n_rows - r : TILE_ROWS, CALL)
#undef CALL
        }
        if (column < pad) {
#define CALL(n) code_values(n, 1, from, s, n_keys, codes, pad, column, ahead, to, ldo, accumulate)
            ROW_CASES(a->n_rows - r < TILE_ROWS ? a->n_rows - r : TILE_ROWS, CALL)
#undef CALL
        }
    }
}

/* The scale of each position's values for keys [first, first + n) of a block, 0 for the rest of the last run; and with
 * several scales the ratios of the others to it. */
static void scales_of_values(const oxi_attend *a, int32_t first_page, int32_t n, code_work *w)
{
    const int32_t groups = oxi_groups(a->value_dim, oxi_value_group(a->type, a->value_dim));
    w->poisoned = false;
    for (int32_t i = 0; i < n; i += VW) {
        const uint16_t *at = (const uint16_t *)(const void *)a->values[first_page + i / OXI_PAGE_TOKENS] + i % OXI_PAGE_TOKENS;
        vf scale = load_half(at);
        for (int32_t g = 1; g < groups; g++) {
            const vf one = load_half(at + g * OXI_PAGE_TOKENS);
            scale = pick((one <= scale) | (scale != scale), scale, one); /* NaN stays */
        }
        w->poisoned |= sum(scale * 0.0f) != 0;
        scale = pick(scale < splat(INFINITY), scale, (vf){0});
        store(w->value_scales + i, a->type == OXI_CACHE_Q8_0 ? scale * (1.0f / (1 << WIDER)) : scale);
        if (groups == 1) continue;
        const vf inverse = pick(scale > (vf){0}, splat(32768.0f) / scale, (vf){0});
        for (int32_t g = 0; g < groups; g++)
            store_codes(w->ratios + g * OXI_ATTEND_KEYS + i,
                        round_(min_(splat(32767.0f), load_half(at + g * OXI_PAGE_TOKENS) * inverse)));
    }
    for (int32_t i = n; i < (n + OXI_CODE_RUN - 1) / OXI_CODE_RUN * OXI_CODE_RUN; i++) w->value_scales[i] = 0;
}

/* Do keys [from, to) have values that are NaN? */
static bool sees_poison(const oxi_attend *a, int32_t from, int32_t to)
{
    const int32_t groups = oxi_groups(a->value_dim, oxi_value_group(a->type, a->value_dim));
    for (int32_t i = from; i < to; i++)
        for (int32_t g = 0; g < groups; g++)
            if ((((const uint16_t *)(const void *)a->values[i / OXI_PAGE_TOKENS])[g * OXI_PAGE_TOKENS + i % OXI_PAGE_TOKENS] & 0x7c00) == 0x7c00)
                return true;
    return false;
}

/* One row's softmax over keys [first, first + n), as far as the row sees them, like softmax_block. Over its scores come
 * the codes of the probabilities times their values' scales, OXI_ATTEND_KEYS of them, and where scores end the codes'
 * scales, one for each run of keys. */
static void softmax_codes(const oxi_attend *a, int32_t row, int32_t first, int32_t n, const code_work *w, float *scores,
                          float *sums)
{
    const int32_t position = a->positions[row], padded = (n + OXI_CODE_RUN - 1) / OXI_CODE_RUN * OXI_CODE_RUN;
    const int32_t end = position + 1 - first < n ? position + 1 - first : n; /* may be negative: nothing seen yet */
    const int32_t start = a->window && position - a->window + 1 > first ? position - a->window + 1 - first : 0;
    int16_t *codes = (int16_t *)(void *)scores;
    float *scales = scores + OXI_ATTEND_KEYS, scale = w->query_scales[row];
    if (start >= end) {
        memset(scores, 0, (size_t)SCORES * sizeof *scores);
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
    for (int32_t i = 0; i < padded; i += OXI_CODE_RUN) {
        vf e[OXI_CODE_RUN / VW], top = {0};
#pragma GCC unroll 16
        for (int v = 0; v < OXI_CODE_RUN / VW; v++) {
            const vf p = exp2_below(fma_(load(scores + i + v * VW), by, from));
            total += p;
            e[v] = p * load(w->value_scales + i + v * VW);
            top = max_(top, e[v]);
        }
        const float largest_of_run = largest(top), inverse = largest_of_run > 1e-30f ? OXI_CODE_MOST / largest_of_run : 0;
        scales[i / OXI_CODE_RUN] = largest_of_run * (1.0f / OXI_CODE_MOST);
#pragma GCC unroll 16
        for (int v = 0; v < OXI_CODE_RUN / VW; v++)
            store_codes(codes + i + v * VW, round_(e[v] * splat(inverse)));
    }
    sums[0] = m * scale;
    sums[1] = w->poisoned && sees_poison(a, first + start, first + end) ? NAN : sum(total);
}

/* Codes of 8 bits become 16; those of values are brought to their position's scale. Fetches `ahead` as it reads. */
static void widen_keys(const int8_t *codes, int64_t n, const uint8_t *ahead, int16_t *to)
{
    for (int64_t i = 0; i < n; i += 2 * VW) {
        if (ahead && i % 64 == 0) __builtin_prefetch(ahead + i);
        store_pairs(to + i, load_bytes(codes + i));
    }
}

static void widen_values(const int8_t *codes, int32_t pad, const int16_t *ratios, bool one, const uint8_t *ahead, int16_t *to)
{
    for (int32_t k = 0; k < OXI_PAGE_TOKENS / 2; k++)
        for (int32_t d = 0; d < pad; d += VW) {
            const int64_t at = (int64_t)(k * pad + d) * 2;
            if (ahead && at % 64 == 0) __builtin_prefetch(ahead + at);
            const vi wide = shift_pairs(load_bytes(codes + at), WIDER);
            int32_t ratio;
            memcpy(&ratio, ratios + d / 32 * OXI_ATTEND_KEYS + 2 * k, sizeof ratio);
            store_pairs(to + at, one ? wide : scale_pairs(wide, ratio + (vi){0}));
        }
}

/* The keys [first, first + n) of one block for all rows; a row's sums go to sums[row]. Few rows read memory faster than
 * they compute: reading keys, they fetch the values of the same tokens, and reading values the keys of the next block, if
 * it is whole. */
static void attend_codes(const oxi_attend *a, int32_t first, int32_t n, code_work *w, float *scores, float *sums)
{
    const int64_t stride = oxi_attend_part(a->value_pad), value_codes = (int64_t)OXI_PAGE_TOKENS * a->value_pad;
    const int32_t n_pages = (n + OXI_PAGE_TOKENS - 1) / OXI_PAGE_TOKENS, first_page = first / OXI_PAGE_TOKENS;
    const bool bytes = a->type == OXI_CACHE_Q8_0, few = a->n_rows <= TILE_ROWS;
    const size_t key_at = oxi_key_codes(a->type, a->key_dim), value_at = oxi_value_codes(a->type, a->value_dim);
    const bool one_scale = oxi_groups(a->value_dim, oxi_value_group(a->type, a->value_dim)) == 1;

    for (int32_t p = 0; p < n_pages; p++) {
        const uint8_t *page = a->keys[first_page + p], *ahead = few ? a->values[first_page + p] : NULL;
        const void *codes = page + key_at;
        if (few)
            for (size_t i = 0; i < value_at; i += 64) __builtin_prefetch(ahead + i);
        if (few) ahead += value_at;
        if (bytes) {
            widen_keys(codes, (int64_t)OXI_PAGE_TOKENS * w->query_pad, ahead, w->buffer);
            codes = w->buffer;
            ahead = NULL;
        }
        page_code_scores(a, w, (const void *)page, codes, ahead, scores + p * OXI_PAGE_TOKENS);
    }
    scales_of_values(a, first_page, n_pages * OXI_PAGE_TOKENS, w);
    for (int32_t r = 0; r < a->n_rows; r++)
        softmax_codes(a, r, first, n_pages * OXI_PAGE_TOKENS, w, scores + (int64_t)r * SCORES, sums + r * stride);

    enum { RUN_PAGES = OXI_CODE_RUN / OXI_PAGE_TOKENS };
    const bool more = few && first + 2 * OXI_ATTEND_KEYS <= a->n_keys;
    for (int32_t p = 0; p < n_pages; p += RUN_PAGES) {
        const int16_t *codes[RUN_PAGES];
        const uint8_t *ahead[RUN_PAGES];
        for (int32_t i = 0; i < RUN_PAGES && p + i < n_pages; i++) {
            const void *page = a->values[first_page + p + i] + value_at;
            if (more) {
                ahead[i] = a->keys[first_page + p + i + OXI_ATTEND_KEYS / OXI_PAGE_TOKENS];
                for (size_t j = 0; j < key_at; j += 64) __builtin_prefetch(ahead[i] + j);
                ahead[i] += key_at;
            }
            codes[i] = page;
            if (!bytes) continue;
            codes[i] = w->buffer + i * value_codes;
            widen_values(page, a->value_pad, w->ratios + (p + i) * OXI_PAGE_TOKENS, one_scale, more ? ahead[i] : NULL,
                         w->buffer + i * value_codes);
        }
        const int32_t left = n - p * OXI_PAGE_TOKENS;
        page_code_values(a, scores + p * OXI_PAGE_TOKENS / 2, scores + OXI_ATTEND_KEYS + p / RUN_PAGES,
                         left < OXI_CODE_RUN ? left : OXI_CODE_RUN, codes, more && !bytes ? ahead : NULL, sums + 16, stride,
                         p > 0);
    }
}

/* Divide up the scratch behind the buffer that floats use, and turn the queries into codes. */
static code_work begin_codes(const oxi_attend *a, uint8_t *buffer)
{
    const size_t values = 4 * (size_t)a->value_pad, widest = (size_t)a->key_dim > values ? (size_t)a->key_dim : values;
    code_work w = {.buffer = (int16_t *)(void *)buffer, .query_pad = (a->key_dim + 1) / 2 * 2};
    w.value_scales = (float *)(void *)buffer + OXI_PAGE_TOKENS * widest;
    w.query_scales = w.value_scales + OXI_ATTEND_KEYS;
    w.ratios = (int16_t *)(w.query_scales + OXI_ATTEND_ROWS);
    w.queries = w.ratios + (size_t)OXI_ATTEND_KEYS * (size_t)oxi_groups(a->value_pad, 32);
    for (int32_t r = 0; r < a->n_rows; r++) {
        int16_t *codes = w.queries + (int64_t)r * w.query_pad;
        codes[w.query_pad - 1] = 0;
        const float scale = encode(a->q + (int64_t)r * a->key_dim, a->key_dim, OXI_CODE_MOST, NULL, codes);
        w.query_scales[r] = scale == 0 ? 1.0f : scale;
    }
    return w;
}
