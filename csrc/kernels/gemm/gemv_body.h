/* Few tokens: one pass over the weights, straight from memory to the multiplier. Memory is the limit.
 *
 * Panels are read one after the other, or in turns, as the matrix's oxi_reading says. Between two turns of a panel its
 * sums are in the L1 cache.
 */

typedef struct gemv_scratch {
    float sum[OXI_MAX_TURNS][GEMV_LIMIT + MAX_TOKENS][OXI_PANEL];
    float part[OXI_MAX_TURNS][MAX_TOKENS][OXI_PANEL];
} gemv_scratch;

_Static_assert(OXI_MAX_TURNS % TILE_PANELS == 0, "turns are whole");
_Static_assert(GEMV_LIMIT_UNPACKED <= GEMV_LIMIT && 2 * OXI_READING_TOKENS <= GEMV_LIMIT && GEMV_TOKENS <= GEMV_LIMIT,
               "a pass has places for all tokens");
_Static_assert(sizeof(codebook_scratch) + sizeof(gemv_scratch) <= OXI_MATMUL_SCRATCH, "a pass fits the scratch");

/* Up to this many tokens, weights go from memory straight to the multiplier. Every share of tokens unpacks the codes
 * again. */
INLINE int64_t gemv_limit(oxi_pack pack, const oxi_codebook *codebook, const oxi_matrix *m)
{
    if (with_codebook(pack, codebook)) return GEMV_TOKENS;
    if (oxi_traits[pack].bits == 8) return GEMV_LIMIT;
    const int limit = 2 * m->reading[true]->tokens;
    return limit > GEMV_LIMIT_UNPACKED ? limit : GEMV_LIMIT_UNPACKED;
}

/* Panels that this many tokens pass together. */
INLINE int gemv_panels_of(oxi_pack pack, const oxi_codebook *codebook, int tokens)
{
    if (WIDE_LOOKUP && with_codebook(pack, codebook)) return 1; /* the tables need the registers */
    return tokens < GEMV_PAIRS ? 1 : TILE_PANELS;
}

INLINE const oxi_reading *reading_for(const oxi_matrix *m, int n_tokens) { return m->reading[n_tokens >= OXI_SEVERAL]; }

/* Most tokens at a time. */
INLINE int gemv_tokens(oxi_pack pack, const oxi_codebook *codebook, const oxi_reading *reading)
{
    const bool fewer = reading->tokens && reading->tokens < GEMV_TOKENS && !with_codebook(pack, codebook);
    return fewer ? reading->tokens : GEMV_TOKENS;
}

/* Groups in a panel's turn. More tokens do better with their sums in registers for a whole chunk. */
INLINE int turn_groups(oxi_pack pack, const oxi_codebook *codebook, const oxi_reading *reading, int tokens)
{
    const int bits = oxi_traits[pack].bits;
    if (!reading->short_turns || tokens >= OXI_SEVERAL || with_codebook(pack, codebook)) return OXI_CHUNK_GROUPS;
    return bits > 4 ? 1 : bits > 2 ? 2 : bits > 1 ? 4 : 8;
}

/* Rows of the scratch, `stride` floats from one panel to the next. */
INLINE void load_sums(int vectors, int tokens, const float *from, int stride, v_f32 sum[TILE_VECTORS][MAX_TOKENS])
{
    UNROLL for (int v = 0; v < vectors; v++)
        UNROLL for (int t = 0; t < tokens; t++)
            sum[v][t] = load_f32(from + v / STRIPS * stride + t * OXI_PANEL + LANES * (v % STRIPS));
}

INLINE void store_sums(int vectors, int tokens, const v_f32 sum[TILE_VECTORS][MAX_TOKENS], float *to, int stride)
{
    UNROLL for (int v = 0; v < vectors; v++)
        UNROLL for (int t = 0; t < tokens; t++)
            store_f32(to + v / STRIPS * stride + t * OXI_PANEL + LANES * (v % STRIPS), sum[v][t]);
}

/* The kernel for the n tokens left over from many. It must read as many panels as the kernel for the others. */
INLINE int kernel_beside(oxi_pack pack, const oxi_codebook *codebook, int n, int together)
{
    while (gemv_panels_of(pack, codebook, n) != together) n += n < 2 ? 1 : 2;
    return n;
}

/* One turn: groups [g0, g1) of a chunk of `panels` panels, from `panel` on, times the `tokens` records from x[t] on,
 * added to the sums. For formats with parts, the scratch holds the chunk's parts from one turn to the next. */
INLINE void gemv_turn(oxi_pack pack, const oxi_codebook *codebook, const constants *shared, int panels, int tokens,
                      const chunk *w, const oxi_act_record *x, int g0, int g1, int n_groups, const codebook_scratch *b,
                      gemv_scratch *s, int panel, int t)
{
    enum { SUM_STRIDE = sizeof s->sum[0] / sizeof(float), PART_STRIDE = sizeof s->part[0] / sizeof(float) };
    const int vectors = panels * STRIPS;
    float *const sums = s->sum[panel][t], *const parts = s->part[panel][0];
    constants own = *shared;
    const constants *const k = &own;
#if WIDE_LOOKUP
    if (with_codebook(pack, codebook) && tokens > MOST_BESIDE_TABLES) own.codes = (const uint8_t(*)[64])b->codes;
#endif
    (void)codebook, (void)b;
    v_f32 sum[TILE_VECTORS][MAX_TOKENS], part[TILE_VECTORS][MAX_TOKENS];
    if (!has_parts(pack)) {
        load_sums(vectors, tokens, sums, SUM_STRIDE, sum);
        add_groups(pack, k, false, vectors, tokens, w, x + t, g0, g1, sum);
        store_sums(vectors, tokens, sum, sums, SUM_STRIDE);
        return;
    }
    if (g0) load_sums(vectors, tokens, parts, PART_STRIDE, part);
    else zero(vectors, tokens, part);
    add_groups(pack, k, false, vectors, tokens, w, x + t, g0, g1, part);
    if (g1 < n_groups) {
        store_sums(vectors, tokens, part, parts, PART_STRIDE);
        return;
    }
    load_sums(vectors, tokens, sums, SUM_STRIDE, sum);
    close_chunk(pack, k, false, vectors, tokens, w, x + t, part, sum);
    store_sums(vectors, tokens, sum, sums, SUM_STRIDE);
}

#define GEMV_CASE(n)                                                                                                   \
    case n:                                                                                                            \
        if (n <= GEMV_TOKENS)                                                                                          \
            gemv_turn(pack, codebook, &k, gemv_panels_of(pack, codebook, n), n <= GEMV_TOKENS ? n : 1, w + panel, x,   \
                      n > 2 ? 0 : g0, n > 2 ? n_groups : g1, n_groups, b, s, panel, t);                                \
        break;

/* Panels [p, p + n_panels), at most OXI_MAX_TURNS, times all tokens. */
INLINE void gemv_streams(oxi_pack pack, const oxi_codebook *codebook, const oxi_matrix *m, int64_t p, int n_panels,
                         const oxi_act_record *x, int n_tokens, codebook_scratch *b, gemv_scratch *s)
{
    const oxi_reading *const reading = reading_for(m, n_tokens);
    const int share = even_share(n_tokens, gemv_tokens(pack, codebook, reading)), together = gemv_panels_of(pack, codebook, share);
    const int last = (n_tokens - 1) / share * share; /* start of the last share */
    const int last_kernel = kernel_beside(pack, codebook, kernel_tokens(n_tokens - last, share), together);
    const int turn = turn_groups(pack, codebook, reading, n_tokens);
    const uint8_t *const first = m->data + (size_t)p * m->panel_bytes;
    const constants k = constants_of(pack, codebook, m, b);
    size_t at = 0;
    for (int64_t cols = m->n_cols; cols > 0; cols -= OXI_CHUNK, x += n_tokens) {
        const int n_groups = cols < OXI_CHUNK ? (int)cols / OXI_GROUP : OXI_CHUNK_GROUPS;
        const size_t step = chunk_step(pack, codebook, n_groups);
        chunk w[OXI_MAX_TURNS];
        for (int i = 0; i < n_panels || i % together; i++) {
            /* A missing panel repeats the first one. */
            const uint8_t *src = first + (i < n_panels ? (size_t)i * m->panel_bytes : 0);
            w[i] = chunk_at(pack, codebook, m, src + at, n_groups, b, i);
            w[i].ahead = ahead_of(m, src, at, reading->ahead ? reading->ahead : step, n_panels);
            w[i].cache = reading->cache;
        }
        for (int g0 = 0; g0 < n_groups; g0 += turn) {
            const int g1 = g0 + turn < n_groups ? g0 + turn : n_groups;
            for (int panel = 0; panel < n_panels; panel += together) {
#if WIDE_LOOKUP
                if (with_codebook(pack, codebook) && share > MOST_BESIDE_TABLES)
                    store_codes(pack, codebook, k.of_pair, w[panel].packed, b);
#endif
                for (int t = 0; t < n_tokens; t += share)
                    switch (t < last ? share : last_kernel) {
                        GEMV_CASE(1) GEMV_CASE(2) GEMV_CASE(4) GEMV_CASE(6) GEMV_CASE(8)
                    }
            }
        }
        at += step;
    }
}

/* How many of n_left panels take turns next: about as many each time, in multiples of `together`. */
INLINE int streams_of(const oxi_reading *reading, int64_t n_left, int together)
{
    const int most = reading->panels > together ? reading->panels : together;
    const int64_t times = (n_left + most - 1) / most, even = (n_left + times - 1) / times;
    const int64_t up = (even + together - 1) / together * together;
    return (int)(up < n_left ? up : n_left);
}

INLINE void begin_streams(int n_panels, int n_tokens, gemv_scratch *s)
{
    for (int i = 0; i < n_panels; i++) memset(s->sum[i], 0, (size_t)n_tokens * sizeof s->sum[i][0]);
}

INLINE void end_streams(const oxi_matrix *m, int64_t p, int n_panels, int n_tokens, float *out, int64_t ldo,
                        const gemv_scratch *s)
{
    for (int t = 0; t < n_tokens; t++)
        for (int i = 0; i < n_panels; i++)
            store_panel(out + t * ldo + (p + i) * OXI_PANEL, s->sum[i][t], rows_of(m, p + i));
}

INLINE void gemv_panels(oxi_pack pack, const oxi_codebook *codebook, const oxi_matrix *m, int64_t p0, int64_t p1,
                        const oxi_act_record *x, int n_tokens, float *out, int64_t ldo, codebook_scratch *b, gemv_scratch *s)
{
    const oxi_reading *const reading = reading_for(m, n_tokens);
    const int together = gemv_panels_of(pack, codebook, even_share(n_tokens, gemv_tokens(pack, codebook, reading)));
    for (int64_t p = p0; p < p1;) {
        const int n_panels = streams_of(reading, p1 - p, together);
        begin_streams(n_panels, n_tokens, s);
        gemv_streams(pack, codebook, m, p, n_panels, x, n_tokens, b, s);
        end_streams(m, p, n_panels, n_tokens, out, ldo, s);
        p += n_panels;
    }
}
