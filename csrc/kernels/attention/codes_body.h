/* Attention over pages of codes (page.h): queries and probabilities become codes too, so products are of integers.
 *
 * A query row has one scale (i16), or one for every group of the key (q8_0), and then codes of a byte as the keys have. A
 * score is the sum of its groups, each an exact integer times the scales. The scale of
 * a position's values is multiplied into the probabilities (q8_0 has a scale for every 32 values, so it needs one set of
 * probabilities per scale). The probabilities get their own scale for every OXI_CODE_RUN keys, so that small
 * probabilities far from the largest one keep their bits. Integer sums do not depend on order, so a row's result does
 * not depend on the other rows of a call. Included by attend_body.h.
 */

enum { RUN_PAGES = OXI_CODE_RUN / OXI_PAGE_TOKENS, RUNS = OXI_ATTEND_KEYS / OXI_CODE_RUN };

/* The first n - i floats of x + i, at most a vector. */
INLINE vf load_up_to(const float *x, int64_t i, int64_t n) { return i + VW <= n ? load(x + i) : load_part(x + i, n - i); }

/* The scale that makes `most` of the largest of x; NaN if x holds a NaN or an infinity. */
INLINE float scale_of(const float *x, int64_t n, float most)
{
    vi top = {0}; /* bits of magnitudes: they compare as integers, those of infinities and NaN are the largest */
    for (int64_t i = 0; i < n; i += VW) {
        const vi v = (vi)load_up_to(x, i, n) & 0x7fffffff;
        top = (v & (v > top)) | (top & ~(v > top));
    }
    float largest_of_all = 0;
#if defined(__AVX512F__)
    const int32_t bits = _mm512_reduce_max_epi32((__m512i)top);
#else
    int32_t bits = 0;
    for (int i = 0; i < VW; i++) bits = top[i] > bits ? top[i] : bits;
#endif
    memcpy(&largest_of_all, &bits, sizeof bits);
    return bits < 0x7f800000 ? largest_of_all / most : NAN;
}

/* 1 / scale; 0 where all codes are 0. */
static float inverse_of(float scale)
{
    const float inverse = scale > 0 && scale < INFINITY ? 1.0f / scale : 0.0f;
    return inverse < INFINITY ? inverse : 0.0f;
}

static float encode(const float *x, int64_t n, float most, uint16_t *half, int16_t *codes)
{
    float scale = scale_of(x, n, most);
    if (half) { /* round up, so that no code exceeds the limit */
        *half = float_to_half(scale);
        if (half_to_float(*half) < scale) ++*half;
        scale = half_to_float(*half);
    }
    const float inverse = inverse_of(scale);
    if (inverse == 0) {
        memset(codes, 0, (size_t)n * sizeof *codes);
        return scale < INFINITY ? 0.0f : NAN;
    }
    for (int64_t i = 0; i < n; i += VW) {
        int16_t part[VW];
        store_codes(part, round_(load_up_to(x, i, n) * inverse));
        memcpy(codes + i, part, (size_t)(n - i < VW ? n - i : VW) * sizeof *part);
    }
    return scale;
}

/* A group of a query as bytes; `total`: their sum. */
static float encode_bytes(const float *x, int64_t n, int8_t *codes, int32_t *total)
{
    const float scale = scale_of(x, n, OXI_BYTE_MOST), inverse = inverse_of(scale);
    vi all = {0};
    for (int64_t i = 0; i < n; i += VW) {
        const vi c = inverse == 0 ? (vi){0} : round_(load_up_to(x, i, n) * inverse);
        int8_t part[VW];
        store_bytes(part, c);
        all += c;
        memcpy(codes + i, part, (size_t)(n - i < VW ? n - i : VW));
    }
    *total = sum_codes(all);
    return inverse == 0 && scale < INFINITY ? 0.0f : scale;
}

/* A call's working memory, in its scratch. */
typedef struct code_work {
    int32_t *queries;     /* [key groups][OXI_ATTEND_ROWS][lanes of a group]: codes as they lie in a lane of the keys */
    int32_t *query_sums;  /* q8_0: [key groups][OXI_ATTEND_ROWS] of the codes */
    float *query_scales;  /* i16: [OXI_ATTEND_ROWS]; q8_0: [key groups][OXI_ATTEND_ROWS] */
    int32_t value_groups; /* how many scales a position's values have */
    float *value_scales;  /* [value_groups][OXI_ATTEND_KEYS] of a block */
    int16_t *shares;      /* probabilities times scales, as codes: [value_groups][TILE_ROWS][OXI_CODE_RUN] (i16), or: */
    share *byte_shares;   /* [SHARE_PLANES][value_groups][TILE_ROWS][OXI_CODE_RUN] (q8_0) */
    int32_t *share_sums;  /* q8_0: [SHARE_PLANES][value_groups][16] */
    float *share_scales;  /* [OXI_ATTEND_ROWS][value_groups][RUNS] of a block */
    float *share_inverses; /* the same: what makes codes of probabilities times scales; 0 where all of those are 0 */
    bool has_nonfinite;   /* some values are NaN; their scales count as 0 */
} code_work;

/* The same pair of codes in every lane. */
INLINE vi both(const int16_t *pair)
{
    int32_t x;
    memcpy(&x, pair, sizeof x);
    return x + (vi){0};
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

#include "kernels/attention/scores_body.h"
#include "kernels/attention/values_body.h"

/* Load the value scales of keys [first, first + n) of a block; 0 for the rest of the last run. */
static void scales_of_values(const oxi_attend *a, int32_t first_page, int32_t n, code_work *w)
{
    vf nonfinite = {0};
    for (int32_t g = 0; g < w->value_groups; g++) {
        float *to = w->value_scales + g * OXI_ATTEND_KEYS;
        for (int32_t i = 0; i < n; i += VW) {
            const uint16_t *at = (const uint16_t *)(const void *)a->values[first_page + i / OXI_PAGE_TOKENS];
            const vf scale = load_half(at + g * OXI_PAGE_TOKENS + i % OXI_PAGE_TOKENS);
            nonfinite += scale * 0.0f;
            store(to + i, pick(scale < splat(INFINITY), scale, (vf){0}));
        }
        for (int32_t i = n; i < (n + OXI_CODE_RUN - 1) / OXI_CODE_RUN * OXI_CODE_RUN; i++) to[i] = 0;
    }
    w->has_nonfinite = sum(nonfinite) != 0;
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
                          page_list *beside, line_run *run_beside, int32_t n_lines, float *sums)
{
    const int32_t position = a->positions[row], padded = (n + OXI_CODE_RUN - 1) / OXI_CODE_RUN * OXI_CODE_RUN;
    int32_t start;
    const int32_t end = seen_by(a, row, first, n, &start);
    float scale = a->type == OXI_CACHE_Q8_0 ? 1.0f : w->query_scales[row];
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
    for (int32_t run = 0; run * OXI_CODE_RUN < padded; run++) {
        float *const p = scores + run * OXI_CODE_RUN;
        if (run_beside) fetch_run(run_beside, n_lines);
        else if (n_lines > 0) fetch_lines(beside, n_lines);
#pragma GCC unroll 16
        for (int v = 0; v < OXI_CODE_RUN / VW; v++) {
            const vf e = exp2_below(fma_(load(p + v * VW), by, from));
            store(p + v * VW, e);
            total += e;
        }
    }
    find_share_scales(a->type == OXI_CACHE_Q8_0, first == 0, w, row, padded / OXI_CODE_RUN, scores);
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
    const size_t value_at = oxi_attend_value_codes(a);
    const size_t value_bytes = oxi_value_bytes(a->type, a->value_dim);
    const uint8_t *const *keys = a->keys + first_page, *const *values = a->values + first_page;
    const bool few = a->n_rows <= TILE_ROWS, one_run = few && a->fetching.one_run;
    const page_list next = keys_after(a, first);
    const int32_t n_values = a->shared ? 0 : n_pages; /* to be fetched */
    line_run run_ahead = run_of_block((page_span){keys, n_pages, 0, key_bytes}, (page_span){values, n_values, value_at, value_bytes},
                                      (page_span){next.pages, next.n, 0, key_bytes}, a->fetching.ahead);
    const four_places with_run = {.any = true, .run = &run_ahead, .lines = a->fetching.with_keys};

    const int32_t fetched = fetched_with_keys(n_values); /* pages of values, with the keys */
    const int32_t with_keys = fetched < n_values ? fetched : n_values;
    for (int32_t run = 0, p = 0; run < n_runs; run++, p += RUN_PAGES) {
        const four_places ahead = one_run ? with_run
                                  : few   ? halves_beside(values, with_keys, run, n_runs, value_at, value_bytes)
                                          : pages_beside(keys, n_pages, p + RUN_PAGES, key_at, key_bytes);
        const int32_t here = n_pages - p < RUN_PAGES ? n_pages - p : RUN_PAGES;
        for (int32_t i = p; one_run && i < p + here && i < n_values; i++) fetch(values[i], value_at); /* all scales are read first */
        run_code_scores(a, w, here, keys + p, &ahead, scores + p * OXI_PAGE_TOKENS);
        for (int32_t i = p; a->shared && i < p + here; i++) share_page(a, first_page + i, NULL);
    }

    page_list rest = {.pages = values + with_keys, .n = few && !one_run ? n_values - with_keys : 0, .at = value_at};
    for (int32_t p = 0; p < rest.n; p++) fetch(rest.pages[p], value_at);
    if (rest.n > 0) rest.end = value_bytes;
    int32_t lines = rest.n * (int32_t)((value_bytes - rest.at) / 64);
    if (one_run) { /* what is not prefetched beside values */
        const int32_t beside = n_pages * (int32_t)((value_bytes - value_at) / 64) * a->fetching.with_values / 4, left = lines_left(&run_ahead);
        lines = left > beside ? left - beside : 0;
    }
    const int32_t steps = a->n_rows * n_runs;
    scales_of_values(a, first_page, n_keys, w);
    for (int32_t r = 0; r < a->n_rows; r++)
        softmax_codes(a, r, first, n_keys, w, scores + (int64_t)r * SCORES, &rest, one_run ? &run_ahead : NULL,
                      (lines + steps - 1) / steps, sums + r * stride);

    for (int32_t run = 0, p = 0; run < n_runs; run++, p += RUN_PAGES) {
        const uint8_t *codes[RUN_PAGES];
        for (int32_t i = 0; i < RUN_PAGES; i++) /* a missing page has shares of 0 */
            codes[i] = values[p + i < n_pages ? p + i : p] + value_at;
        const four_places ahead = one_run ? (four_places){.any = true, .run = &run_ahead, .lines = a->fetching.with_values}
                                  : few   ? halves_beside(next.pages, next.n, run, n_runs, key_at, key_bytes)
                                          : pages_beside(values, n_values, p + RUN_PAGES, value_at, value_bytes);
        run_code_values(a, w, scores, first, p * OXI_PAGE_TOKENS, codes, &ahead, sums + 16, stride);
    }
    if (one_run) fetch_run(&run_ahead, lines_left(&run_ahead));
}

/* The codes of a row's queries, group by group, through `codes`. */
static void encode_query(const oxi_attend *a, const code_work *w, int32_t row, int16_t *codes)
{
    const float *q = a->q + (int64_t)row * a->key_dim;
    const int32_t dim = a->key_dim, group = oxi_key_group(a->type), per_lane = oxi_key_lane(a->type);
    if (a->type == OXI_CACHE_I16) {
        const float scale = encode(q, dim, OXI_CODE_MOST, NULL, codes);
        w->query_scales[row] = scale == 0 ? 1.0f : scale;
    }
    for (int32_t d = 0, g = 0; d < dim; d += group, g++) {
        const int32_t n = dim - d < group ? dim - d : group, lanes = oxi_groups(n, per_lane);
        int32_t *const to = w->queries + (int64_t)g * OXI_ATTEND_ROWS * group / per_lane + row * group / per_lane;
        memset(to + lanes - 1, 0, sizeof *to); /* the last lane may have less dimensions than fit */
        if (a->type == OXI_CACHE_I16) {
            memcpy(to, codes + d, (size_t)n * sizeof *codes);
            continue;
        }
        const int64_t at = (int64_t)g * OXI_ATTEND_ROWS + row;
        w->query_scales[at] = encode_bytes(q + d, n, (int8_t *)to, &w->query_sums[at]);
    }
}

/* Divide up the scratch behind the float path's buffer, and encode the queries one after the other through `row`. */
static code_work begin_codes(const oxi_attend *a, uint8_t *buffer, int16_t *row)
{
    const size_t values = 4 * (size_t)a->value_pad, widest = (size_t)a->key_dim > values ? (size_t)a->key_dim : values;
    const size_t key_groups = (size_t)oxi_groups(a->key_dim, 32); /* at least as many */
    code_work w;
    w.value_groups = oxi_groups(a->value_dim, oxi_attend_value_group(a));
    const size_t groups = (size_t)oxi_groups(a->value_pad, 32); /* at least as many */
    w.value_scales = (float *)(void *)buffer + OXI_PAGE_TOKENS * widest;
    w.query_scales = w.value_scales + OXI_ATTEND_KEYS * groups;
    w.query_sums = (int32_t *)(w.query_scales + OXI_ATTEND_ROWS * key_groups);
    w.share_scales = (float *)(w.query_sums + OXI_ATTEND_ROWS * key_groups);
    w.share_inverses = w.share_scales + OXI_ATTEND_ROWS * RUNS * groups;
    w.share_sums = (int32_t *)(w.share_inverses + OXI_ATTEND_ROWS * RUNS * groups);
    w.shares = (int16_t *)(w.share_sums + 32 * groups);
    w.byte_shares = (share *)(void *)w.shares;
    w.queries = (int32_t *)(void *)(w.shares + 8 * groups * OXI_CODE_RUN);
    for (int32_t r = 0; r < a->n_rows; r++) encode_query(a, &w, r, row);
    return w;
}
