/* Attention of one block of query rows over the pages of a sequence.
 *
 * Keys are taken in blocks of OXI_ATTEND_KEYS that start at multiples of it. Each block computes scores as small
 * products of query rows and key pages, one softmax per row, and probabilities times value pages. A row's result is the
 * sum of its blocks in order, each rescaled to the largest score so far. So it depends neither on the other rows of a
 * call nor on whether one call or several threads computed the blocks.
 */
#include "kernels/attention/attend.h"
#include "kernels/vec/quads.h"
#include "kernels/vec/vec_body.h"

#if defined(__AVX512F__)
#define TILE_ROWS 8
#else
#define TILE_ROWS 6
#endif

#include "kernels/attention/prefetch_body.h"

#define SCORES (OXI_ATTEND_KEYS + 16) /* floats between rows of scores; a power of two would make rows share cache sets */
#define VALUE_PAGES 4                 /* pages whose values are converted together */

/* The keys or values of some pages, as floats or halves. `ahead`: what to prefetch beside each page; it or its entries
 * may be NULL. */
typedef struct page_data {
    const uint8_t *const *pages;
    const uint8_t *const *ahead;
    bool half;
} page_data;

INLINE vf load_page(const uint8_t *page, bool half, int64_t at)
{
    return half ? load_half((const uint16_t *)(const void *)page + at) : load((const float *)(const void *)page + at);
}

/* c[r][0 .. n_vec * VW) (+)= sum over k of a[r][k] * column k of the pages, `per_page` columns in each. A column's
 * elements start at `at` + k * ldb; its second vector is `apart` elements after the first. With `ahead`, every k
 * prefetches as many bytes as it reads, starting at `fetched`: a page of another layer or token is too far away for the
 * hardware prefetcher. */
INLINE void tile(int n_rows, int n_vec, const float *a, int64_t lda, page_data from, int64_t per_page, int64_t at,
                 int64_t ldb, int64_t apart, int64_t fetched, int64_t n_k, float *c, int64_t ldc, bool accumulate)
{
    const int64_t step = 2 * VW * (from.half ? 2 : 4);
    vf sums[TILE_ROWS][2];
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < n_vec; v++) sums[r][v] = accumulate ? load(c + r * ldc + v * VW) : (vf){0};
    for (int64_t k0 = 0; k0 < n_k; k0 += per_page) {
        const uint8_t *page = from.pages[k0 / per_page];
        const uint8_t *ahead = from.ahead && from.ahead[k0 / per_page] ? from.ahead[k0 / per_page] + fetched : NULL;
        const int64_t n = n_k - k0 < per_page ? n_k - k0 : per_page;
        for (int64_t k = 0; k < n; k++) {
            if (ahead) {
                __builtin_prefetch(ahead + k * step);
                if (step > 64) __builtin_prefetch(ahead + k * step + 64);
            }
            vf columns[2];
#pragma GCC unroll 2
            for (int v = 0; v < n_vec; v++) columns[v] = load_page(page, from.half, at + k * ldb + v * apart);
#pragma GCC unroll 8
            for (int r = 0; r < n_rows; r++) {
                const vf x = splat(a[r * lda + k0 + k]);
#pragma GCC unroll 2
                for (int v = 0; v < n_vec; v++) sums[r][v] = fma_(x, columns[v], sums[r][v]);
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < n_vec; v++) store(c + r * ldc + v * VW, sums[r][v]);
}

#define TILE_CASE(rows) \
    case rows: \
        tile(rows, n_vec, a, lda, from, per_page, at, ldb, apart, fetched, n_k, c, ldc, accumulate); \
        return;

INLINE void tile_rows(int n_rows, int n_vec, const float *a, int64_t lda, page_data from, int64_t per_page, int64_t at,
                      int64_t ldb, int64_t apart, int64_t fetched, int64_t n_k, float *c, int64_t ldc, bool accumulate)
{
    switch (n_rows) {
        TILE_CASE(1) TILE_CASE(2) TILE_CASE(3) TILE_CASE(4) TILE_CASE(5) TILE_CASE(6)
#if TILE_ROWS == 8
        TILE_CASE(7) TILE_CASE(8)
#endif
    }
}

/* scores[r][0..32) = q[r] . keys of one page [2][dim][16] */
INLINE void scores_of(const float *q, int32_t n_rows, int32_t dim, page_data page, float *scores)
{
    for (int32_t r = 0; r < n_rows; r += TILE_ROWS) {
        const int rows = n_rows - r < TILE_ROWS ? n_rows - r : TILE_ROWS;
        for (int32_t key = 0; key < OXI_PAGE_TOKENS; key += 2 * VW)
            tile_rows(rows, 2, q + (int64_t)r * dim, dim, page, dim, key / 16 * dim * 16 + key % 16, 16,
                      VW == 16 ? dim * 16 : VW, (int64_t)key * dim * (page.half ? 2 : 4), dim,
                      scores + (int64_t)r * SCORES + key, SCORES, false);
    }
}

/* out[r] (+)= probabilities[r][0 .. n_keys) . values of pages [32][pad] */
INLINE void values_of(const float *probabilities, int32_t n_rows, int32_t n_keys, page_data pages, int32_t pad, float *out,
                      int64_t ldo, bool accumulate)
{
    for (int32_t r = 0; r < n_rows; r += TILE_ROWS) {
        const int rows = n_rows - r < TILE_ROWS ? n_rows - r : TILE_ROWS;
        const float *a = probabilities + (int64_t)r * SCORES;
        float *c = out + (int64_t)r * ldo;
        int32_t column = 0;
        for (; column + 2 * VW <= pad; column += 2 * VW)
            tile_rows(rows, 2, a, SCORES, pages, OXI_PAGE_TOKENS, column, pad, VW,
                      (int64_t)column * OXI_PAGE_TOKENS * (pages.half ? 2 : 4), n_keys, c + column, ldo, accumulate);
        if (column < pad)
            tile_rows(rows, 1, a, SCORES, pages, OXI_PAGE_TOKENS, column, pad, VW,
                      (int64_t)column * OXI_PAGE_TOKENS * (pages.half ? 2 : 4), n_keys, c + column, ldo, accumulate);
    }
}

/* Dispatch with constants for the compiler. */
static void page_scores(const float *q, int32_t n_rows, int32_t dim, page_data page, float *scores)
{
    if (page.half) scores_of(q, n_rows, dim, (page_data){page.pages, page.ahead, true}, scores);
    else if (page.ahead) scores_of(q, n_rows, dim, (page_data){page.pages, page.ahead, false}, scores);
    else scores_of(q, n_rows, dim, (page_data){page.pages, NULL, false}, scores);
}

static void page_values(const float *probabilities, int32_t n_rows, int32_t n_keys, page_data pages, int32_t pad,
                        float *out, int64_t ldo, bool accumulate)
{
    if (pages.half)
        values_of(probabilities, n_rows, n_keys, (page_data){pages.pages, pages.ahead, true}, pad, out, ldo, accumulate);
    else if (pages.ahead)
        values_of(probabilities, n_rows, n_keys, (page_data){pages.pages, pages.ahead, false}, pad, out, ldo, accumulate);
    else values_of(probabilities, n_rows, n_keys, (page_data){pages.pages, NULL, false}, pad, out, ldo, accumulate);
}

static int32_t oldest_seen(const oxi_attend *a, int32_t position)
{
    if (a->chunked) return position - position % a->window;
    return a->window && position >= a->window ? position - a->window + 1 : 0;
}

/* The keys that a row sees in a block of n from `first` on: [*start, returned), which may be empty or reversed. */
static int32_t seen_by(const oxi_attend *a, int32_t row, int32_t first, int32_t n, int32_t *start)
{
    const int32_t position = a->positions[row], left = a->n_keys - 1 - position; /* may be negative: part of the keys */
    const int32_t end = (a->later < left ? position + 1 + a->later : a->n_keys) - first;
    const int32_t oldest = oldest_seen(a, position);
    *start = oldest > first ? oldest - first : 0;
    return end < n ? end : n;
}

/* One row's softmax over the keys of [first, first + n) that it sees. Scores become probabilities relative to the
 * largest score. The largest score goes to sums[0], the sum of probabilities to sums[1]. `n` is padded to whole pages. */
static void softmax_block(const oxi_attend *a, int32_t row, int32_t first, int32_t n, float *scores, float *sums)
{
    const int32_t position = a->positions[row];
    int32_t start;
    const int32_t end = seen_by(a, row, first, n, &start);
    if (start >= end) {
        memset(scores, 0, (size_t)n * sizeof *scores);
        sums[0] = -INFINITY;
        sums[1] = 0;
        return;
    }
    if (a->softcap != 0) softcap(scores, a->softcap, n, scores);
    if (a->slopes)
        for (int32_t i = start; i < end; i++) scores[i] -= a->slopes[row] * fabsf((float)(first + i - position));
    for (int32_t i = 0; i < start; i++) scores[i] = -INFINITY;
    for (int32_t i = end; i < n; i++) scores[i] = -INFINITY;

    vf one = splat(-INFINITY), two = one; /* two chains, since each waits for its previous operation */
    for (int32_t i = 0; i < n; i += 2 * VW) {
        one = max_(one, load(scores + i));
        two = max_(two, load(scores + i + VW));
    }
    sums[0] = largest(max_(one, two));
    sums[1] = exp_and_sum(scores, n, sums[0]);
    if (sums[0] == -INFINITY) sums[1] = NAN; /* all scores seen were NaN or -inf */
}

/* Add one block to a row's sums: its largest score, the sum of its probabilities and their sum of values. */
static void join(float *sums, const float *block, int32_t pad)
{
    if (block[0] == -INFINITY && block[1] == 0) return; /* the row saw no key */
    if (sums[0] == -INFINITY && sums[1] == 0) {
        memcpy(sums, block, (size_t)oxi_attend_part(pad) * sizeof *sums);
        return;
    }
    const float m = block[0] > sums[0] ? block[0] : sums[0];
    const float old = exp_(splat(sums[0] - m))[0], new = exp_(splat(block[0] - m))[0];
    sums[0] = m;
    sums[1] = sums[1] * old + block[1] * new;
    for (int32_t i = 16; i < 16 + pad; i += VW) store(sums + i, fma_(load(block + i), splat(new), load(sums + i) * old));
}

static void finish(const float *sums, const float *sink, int32_t value_dim, float *out)
{
    float scale = 1.0f, total = sums[1];
    if (sink) {
        const float m = sums[0] > *sink ? sums[0] : *sink;
        scale = exp_(splat(sums[0] - m))[0];
        total = total * scale + exp_(splat(*sink - m))[0];
    }
    affine(sums + 16, scale / total, NULL, NULL, NULL, value_dim, out);
}

static void attend_join(float *parts, int64_t apart, int32_t n_parts, const float *sink, int32_t value_dim, float *out)
{
    for (int32_t i = 1; i < n_parts; i++) join(parts, parts + i * apart, oxi_pad16(value_dim));
    finish(parts, sink, value_dim, out);
}

/* True if products read halves directly. With several tiles of rows they are converted once for all tiles. */
static bool reads_halves(const oxi_attend *a)
{
    return a->type == OXI_CACHE_F16 && VW >= 8 && a->n_rows <= TILE_ROWS;
}

/* True if values are halves. Those made of keys are floats. */
static bool has_halves(const oxi_attend *a) { return a->type == OXI_CACHE_F16 && !a->shared; }

/* True if keys hidden from some row have NaN or infinite values: probabilities of 0 would not hide them. */
static bool hides_nonfinite(const oxi_attend *a, int32_t first, int32_t n)
{
    int32_t from = 0, to = n; /* the keys that every row sees */
    for (int32_t r = 0; r < a->n_rows; r++) {
        int32_t start;
        const int32_t end = seen_by(a, r, first, n, &start);
        from = start > from ? start : from;
        to = end < to ? end : to;
    }
    vf nonfinite = {0};
    for (int32_t k = 0; k < n; k++) {
        if (k == from && from < to) k = to;
        for (int32_t d = 0; k < n && d < a->value_pad; d += VW)
            nonfinite += 0.0f * load_page(a->values[(first + k) / OXI_PAGE_TOKENS], has_halves(a),
                                          k % OXI_PAGE_TOKENS * a->value_pad + d);
    }
    return sum(nonfinite) != 0;
}

/* One row's sum of values over only the keys it sees. Without NaN or infinity the bits equal page_values'. */
static void seen_values(const oxi_attend *a, int32_t row, int32_t first, int32_t n, const float *probabilities, float *out)
{
    int32_t start;
    const int32_t end = seen_by(a, row, first, n, &start);
    memset(out, 0, (size_t)a->value_pad * sizeof *out);
    for (int32_t k = start; k < end; k++)
        for (int32_t d = 0; d < a->value_pad; d += VW)
            store(out + d, fma_(splat(probabilities[k]),
                                load_page(a->values[(first + k) / OXI_PAGE_TOKENS], has_halves(a),
                                          k % OXI_PAGE_TOKENS * a->value_pad + d), load(out + d)));
}

#include "kernels/attention/shared_body.h"

/* Attention of all rows over the keys [first, first + n) of one block; a row's sums go to sums[row]. */
static void attend_keys(const oxi_attend *a, int32_t first, int32_t n, float *scores, uint8_t *buffer, float *sums)
{
    const int64_t stride = oxi_attend_part(a->value_pad), key_floats = (int64_t)OXI_PAGE_TOKENS * a->key_dim;
    const int64_t value_floats = (int64_t)OXI_PAGE_TOKENS * a->value_pad;
    const int32_t n_pages = (n + OXI_PAGE_TOKENS - 1) / OXI_PAGE_TOKENS, first_page = first / OXI_PAGE_TOKENS;
    const bool half = reads_halves(a), convert = a->type == OXI_CACHE_F16 && !half, few = a->n_rows <= TILE_ROWS;
    const uint8_t *converted[VALUE_PAGES];
    for (int32_t p = 0; p < VALUE_PAGES; p++) converted[p] = buffer + p * value_floats * 4;

    const uint8_t *const key_buffer = buffer;
    for (int32_t p = 0; p < n_pages; p++) {
        const uint8_t *const *page = a->keys + first_page + p;
        if (convert || (a->shared && half)) from_f16((const void *)*page, key_floats, (void *)buffer);
        page_scores(a->q, a->n_rows, a->key_dim,
                    (page_data){convert ? &key_buffer : page, few && !a->shared ? a->values + first_page + p : NULL, half},
                    scores + p * OXI_PAGE_TOKENS);
        if (a->shared) share_page(a, first_page + p, a->type == OXI_CACHE_F16 ? (const float *)(const void *)buffer : NULL);
    }
    for (int32_t r = 0; r < a->n_rows; r++)
        softmax_block(a, r, first, n_pages * OXI_PAGE_TOKENS, scores + (int64_t)r * SCORES, sums + r * stride);

    if (hides_nonfinite(a, first, n)) {
        for (int32_t r = 0; r < a->n_rows; r++)
            seen_values(a, r, first, n, scores + (int64_t)r * SCORES, sums + r * stride + 16);
        return;
    }
    const page_list next = keys_after(a, first);
    const uint8_t *ahead[OXI_ATTEND_KEYS / OXI_PAGE_TOKENS];
    for (int32_t p = 0; p < n_pages; p++) {
        const int32_t beside = part_beside(next.n, p, n_pages);
        ahead[p] = beside < 0 ? NULL : next.pages[beside];
    }
    const bool converts = convert && !a->shared;
    const int32_t at_once = converts ? VALUE_PAGES : n_pages;
    for (int32_t p = 0; p < n_pages; p += at_once) {
        const int32_t left = n - p * OXI_PAGE_TOKENS, most = at_once * OXI_PAGE_TOKENS;
        const uint8_t *const *pages = a->values + first_page + p;
        for (int32_t i = 0; converts && i < at_once && p + i < n_pages; i++)
            from_f16((const void *)pages[i], value_floats, (void *)(buffer + i * value_floats * 4));
        page_values(scores + p * OXI_PAGE_TOKENS, a->n_rows, left < most ? left : most,
                    (page_data){converts ? converted : pages, next.n ? ahead + p : NULL, half && !a->shared}, a->value_pad, sums + 16, stride,
                    p > 0);
    }
}

#include "kernels/attention/codes_body.h"

static void attend(const oxi_attend *a)
{
    const int64_t stride = oxi_attend_part(a->value_pad);
    float *scores = a->scratch; /* [rows][SCORES] */
    float *block = scores + OXI_ATTEND_ROWS * SCORES, *sums = block + OXI_ATTEND_ROWS * stride; /* [rows][stride] */
    uint8_t *buffer = (uint8_t *)(sums + OXI_ATTEND_ROWS * stride);
    if (a->parts) sums = a->parts;
    const bool coded = oxi_cache_coded(a->type);
    code_work codes = coded ? begin_codes(a, buffer, (int16_t *)scores) : (code_work){0};

    int32_t lowest = a->positions[0], highest = lowest;
    for (int32_t r = 0; r < a->n_rows; r++) {
        lowest = a->positions[r] < lowest ? a->positions[r] : lowest;
        highest = a->positions[r] > highest ? a->positions[r] : highest;
    }
    const int32_t n_keys = a->later < a->n_keys - 1 - highest ? highest + 1 + a->later : a->n_keys;
    const int32_t seen = oldest_seen(a, lowest);
    const int32_t start = (seen > a->first_key ? seen : a->first_key) / OXI_ATTEND_KEYS * OXI_ATTEND_KEYS;
    for (int64_t at = start; at < n_keys; at += OXI_ATTEND_KEYS) { /* the step after the last block may exceed an int32_t */
        const int32_t first = (int32_t)at, n = n_keys - first < OXI_ATTEND_KEYS ? n_keys - first : OXI_ATTEND_KEYS;
        float *to = first == start ? sums : block;
        if (coded) attend_codes(a, first, n, &codes, scores, to);
        else attend_keys(a, first, n, scores, buffer, to);
        for (int32_t r = 0; first > start && r < a->n_rows; r++)
            join(sums + r * stride, block + r * stride, a->value_pad);
    }
    for (int32_t r = 0; !a->parts && r < a->n_rows; r++)
        finish(sums + r * stride, a->sinks ? &a->sinks[r] : NULL, a->value_dim, a->out[r]);
}
