/* Attention of one block of query rows over the pages of a sequence, with an online softmax.
 *
 * For every OXI_ATTEND_KEYS keys: scores as small products of query rows and key pages, one softmax step for each row,
 * then probabilities times value pages are added to the row's running output. Blocks start at multiples of
 * OXI_ATTEND_KEYS positions and a row's sums run over its keys in order, so a row's result does not depend on which
 * other rows share the call. Included by vec_impl.h.
 */

#if defined(__AVX512F__)
#define TILE_ROWS 8
#else
#define TILE_ROWS 6
#endif

/* Keys or values of one page: floats, or halves. */
typedef struct page_data {
    const void *data;
    bool half;
} page_data;

INLINE vf load_page(page_data page, int64_t at)
{
    return page.half ? load_half((const uint16_t *)page.data + at) : load((const float *)page.data + at);
}

/* c[r][0 .. n_vec * VW) (+)= sum over k of a[r][k] * page[at + k * ldb ..]; the second vector lies `apart` elements after
 * the first. */
INLINE void tile(int n_rows, int n_vec, const float *a, int64_t lda, page_data page, int64_t at, int64_t ldb,
                 int64_t apart, int64_t n_k, float *c, int64_t ldc, bool accumulate)
{
    vf sums[TILE_ROWS][2];
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < n_vec; v++) sums[r][v] = accumulate ? load(c + r * ldc + v * VW) : (vf){0};
    for (int64_t k = 0; k < n_k; k++) {
        vf columns[2];
#pragma GCC unroll 2
        for (int v = 0; v < n_vec; v++) columns[v] = load_page(page, at + k * ldb + v * apart);
#pragma GCC unroll 8
        for (int r = 0; r < n_rows; r++) {
            const vf x = splat(a[r * lda + k]);
#pragma GCC unroll 2
            for (int v = 0; v < n_vec; v++) sums[r][v] = fma_(x, columns[v], sums[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < n_vec; v++) store(c + r * ldc + v * VW, sums[r][v]);
}

#define TILE_CASE(rows) \
    case rows: tile(rows, n_vec, a, lda, page, at, ldb, apart, n_k, c, ldc, accumulate); return;

INLINE void tile_rows(int n_rows, int n_vec, const float *a, int64_t lda, page_data page, int64_t at, int64_t ldb,
                      int64_t apart, int64_t n_k, float *c, int64_t ldc, bool accumulate)
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
            tile_rows(rows, 2, q + (int64_t)r * dim, dim, page, key / 16 * dim * 16 + key % 16, 16,
                      VW == 16 ? dim * 16 : VW, dim, scores + (int64_t)r * OXI_ATTEND_KEYS + key, OXI_ATTEND_KEYS, false);
    }
}

/* out[r] += probabilities[r][0 .. n_keys) . values of one page [32][pad] */
INLINE void values_of(const float *probabilities, int32_t n_rows, int32_t n_keys, page_data page, int32_t pad, float *out)
{
    for (int32_t r = 0; r < n_rows; r += TILE_ROWS) {
        const int rows = n_rows - r < TILE_ROWS ? n_rows - r : TILE_ROWS;
        const float *a = probabilities + (int64_t)r * OXI_ATTEND_KEYS;
        float *c = out + (int64_t)r * pad;
        int32_t column = 0;
        for (; column + 2 * VW <= pad; column += 2 * VW)
            tile_rows(rows, 2, a, OXI_ATTEND_KEYS, page, column, pad, VW, n_keys, c + column, pad, true);
        if (column < pad) tile_rows(rows, 1, a, OXI_ATTEND_KEYS, page, column, pad, VW, n_keys, c + column, pad, true);
    }
}

static void page_scores(const float *q, int32_t n_rows, int32_t dim, page_data page, float *scores)
{
    if (page.half) scores_of(q, n_rows, dim, (page_data){page.data, true}, scores);
    else scores_of(q, n_rows, dim, (page_data){page.data, false}, scores);
}

static void page_values(const float *probabilities, int32_t n_rows, int32_t n_keys, page_data page, int32_t pad, float *out)
{
    if (page.half) values_of(probabilities, n_rows, n_keys, (page_data){page.data, true}, pad, out);
    else values_of(probabilities, n_rows, n_keys, (page_data){page.data, false}, pad, out);
}

/* One row's step of the online softmax over keys [first, first + n): scores become probabilities relative to the new
 * maximum, and what was summed before is rescaled to it. `n` is padded to whole pages; keys the row does not see drop out. */
static void softmax_step(const oxi_attend *a, int32_t row, int32_t first, int32_t n, float *scores, float *maximum,
                         float *total, float *out)
{
    const int32_t position = a->positions[row];
    const int32_t end = position + 1 - first < n ? position + 1 - first : n; /* may be negative: nothing seen yet */
    const int32_t start = a->window && position - a->window + 1 > first ? position - a->window + 1 - first : 0;
    if (start >= end) {
        memset(scores, 0, (size_t)n * sizeof *scores);
        return;
    }
    if (a->softcap != 0) softcap(scores, a->softcap, n, scores);
    if (a->slopes)
        for (int32_t i = start; i < end; i++) scores[i] += a->slopes[row] * (float)(first + i - position);
    for (int32_t i = 0; i < start; i++) scores[i] = -INFINITY;
    for (int32_t i = end; i < n; i++) scores[i] = -INFINITY;

    vf best = splat(*maximum);
    for (int32_t i = 0; i < n; i += VW) best = max_(best, load(scores + i));
    const float m = largest(best);
    if (m != *maximum) {
        const float shrink = *maximum == -INFINITY ? 0 : exp_(splat(*maximum - m))[0];
        *total *= shrink;
        for (int32_t i = 0; i < a->value_pad; i += VW) store(out + i, load(out + i) * shrink);
        *maximum = m;
    }
    *total += exp_and_sum(scores, n, m);
}

/* A page as the products read it. Halves are converted once when several tiles of rows use them, and on the fly by the
 * only one of a decode step. */
static page_data read_page(const oxi_attend *a, const uint8_t *page, int64_t n, float *buffer)
{
    if (a->type == OXI_CACHE_F32) return (page_data){page, false};
    if (VW >= 8 && a->n_rows <= TILE_ROWS) return (page_data){page, true};
    from_f16((const uint16_t *)page, n, buffer);
    return (page_data){buffer, false};
}

static void attend(const oxi_attend *a)
{
    float *scores = a->scratch; /* [rows][OXI_ATTEND_KEYS] */
    float *maxima = scores + OXI_ATTEND_ROWS * OXI_ATTEND_KEYS;
    float *totals = maxima + OXI_ATTEND_ROWS;
    float *out = totals + OXI_ATTEND_ROWS; /* [rows][value_pad] */
    float *page = out + (int64_t)OXI_ATTEND_ROWS * a->value_pad;
    const int64_t key_floats = (int64_t)OXI_PAGE_TOKENS * a->key_dim, value_floats = (int64_t)OXI_PAGE_TOKENS * a->value_pad;

    int32_t lowest = a->positions[0], highest = lowest;
    for (int32_t r = 0; r < a->n_rows; r++) {
        lowest = a->positions[r] < lowest ? a->positions[r] : lowest;
        highest = a->positions[r] > highest ? a->positions[r] : highest;
        maxima[r] = -INFINITY;
        totals[r] = 0;
    }
    memset(out, 0, (size_t)a->n_rows * (size_t)a->value_pad * sizeof *out);
    const int32_t n_keys = highest + 1 < a->n_keys ? highest + 1 : a->n_keys;
    const int32_t seen = a->window && lowest >= a->window ? lowest - a->window + 1 : 0;

    for (int32_t first = seen / OXI_ATTEND_KEYS * OXI_ATTEND_KEYS; first < n_keys; first += OXI_ATTEND_KEYS) {
        const int32_t n = n_keys - first < OXI_ATTEND_KEYS ? n_keys - first : OXI_ATTEND_KEYS;
        const int32_t n_pages = (n + OXI_PAGE_TOKENS - 1) / OXI_PAGE_TOKENS, first_page = first / OXI_PAGE_TOKENS;
        for (int32_t p = 0; p < n_pages; p++)
            page_scores(a->q, a->n_rows, a->key_dim, read_page(a, a->keys[first_page + p], key_floats, page),
                        scores + p * OXI_PAGE_TOKENS);
        for (int32_t r = 0; r < a->n_rows; r++)
            softmax_step(a, r, first, n_pages * OXI_PAGE_TOKENS, scores + (int64_t)r * OXI_ATTEND_KEYS, &maxima[r],
                         &totals[r], out + (int64_t)r * a->value_pad);
        for (int32_t p = 0; p < n_pages; p++) {
            const int32_t left = n - p * OXI_PAGE_TOKENS;
            page_values(scores + p * OXI_PAGE_TOKENS, a->n_rows, left < OXI_PAGE_TOKENS ? left : OXI_PAGE_TOKENS,
                        read_page(a, a->values[first_page + p], value_floats, page), a->value_pad, out);
        }
    }
    for (int32_t r = 0; r < a->n_rows; r++) {
        float scale = 1.0f;
        if (a->sinks) {
            const float m = maxima[r] > a->sinks[r] ? maxima[r] : a->sinks[r];
            scale = exp_(splat(maxima[r] - m))[0];
            totals[r] = totals[r] * scale + exp_(splat(a->sinks[r] - m))[0];
        }
        scale /= totals[r];
        const float *from = out + (int64_t)r * a->value_pad;
        for (int32_t i = 0; i < a->value_dim; i++) a->out[r][i] = from[i] * scale;
    }
}
