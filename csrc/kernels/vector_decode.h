/* Few tokens: one pass over the weights, which go from memory to the multiplier. Memory is the limit. */

/* Formats with parts and Q8_0 have kernels for more tokens; the others are content with fewer, which is less to compile. */
INLINE int direct_tokens(oxi_pack pack)
{
    return has_parts(pack) || pack == OXI_PACK_Q8_32 ? DIRECT_TOKENS : DIRECT_TOKENS_256;
}

/* Up to how many tokens weights go from memory to the multiplier. Each pass over them would expand them again. */
INLINE int64_t direct_limit(oxi_pack pack, const oxi_codebook *book)
{
    return with_book(pack, book) ? direct_tokens(pack) : DIRECT_LIMIT;
}

/* Panels that so many tokens pass together. Parts of two panels would not fit the registers beside many tokens' sums. */
INLINE int direct_panels_of(oxi_pack pack, const oxi_codebook *book, int tokens)
{
    if (WIDE_LOOKUP && with_book(pack, book)) return 1; /* the tables need the registers */
    return tokens < DIRECT_PAIRS || (has_parts(pack) && tokens > DIRECT_TOKENS_256) ? 1 : TILE_PANELS;
}

/* Panels [p, p + n_panels), n_panels <= panels, times records x[0 .. n_tokens), n_tokens <= tokens. */
INLINE void direct(oxi_pack pack, const oxi_codebook *book, int panels, int tokens, const oxi_matrix *m, int64_t p, int n_panels,
                   const oxi_act_record *x, int64_t stride, int n_tokens, float *out, int64_t ldo, book_scratch *b)
{
    v_f32 sum[TILE_VECTORS][MAX_TOKENS];
    zero(panels * STRIPS, tokens, sum);
    const uint8_t *const first = m->data + (size_t)p * m->panel_bytes;
    constants k = constants_of(pack, book, m, b);
#if WIDE_LOOKUP
    if (with_book(pack, book) && tokens > MOST_BESIDE_TABLES) k.codes = (const uint8_t(*)[64])b->codes;
#endif
    size_t at = 0;
    for (int64_t cols = m->n_cols; cols > 0; cols -= OXI_CHUNK, x += stride) {
        const int n_groups = cols < OXI_CHUNK ? (int)cols / OXI_GROUP : OXI_CHUNK_GROUPS;
        chunk w[TILE_PANELS];
        UNROLL for (int i = 0; i < panels; i++) {
            /* A panel that is not there is the first one again. */
            const uint8_t *panel = first + (i < n_panels ? (size_t)i * m->panel_bytes : 0);
            w[i] = chunk_at(pack, book, m, panel + at, ahead_of(m, panel, at, panels), n_groups, b, i);
#if WIDE_LOOKUP
            if (with_book(pack, book) && tokens > MOST_BESIDE_TABLES) set_codes_down(pack, book, k.of_pair, panel + at, b);
#endif
        }
        v_f32 part[TILE_VECTORS][MAX_TOKENS];
        zero(panels * STRIPS, tokens, part);
        add_groups(pack, &k, false, panels * STRIPS, tokens, w, x, n_groups, has_parts(pack) ? part : sum);
        if (has_parts(pack)) close_chunk(pack, false, panels * STRIPS, tokens, w, x, part, sum);
        at += chunk_step(pack, book, n_groups);
    }
    float rows[MAX_TOKENS][TILE_ROWS];
    UNROLL for (int v = 0; v < panels * STRIPS; v++)
        UNROLL for (int t = 0; t < tokens; t++) store_f32(rows[t] + LANES * v, sum[v][t]);
    for (int i = 0; i < n_panels; i++)
        for (int t = 0; t < n_tokens; t++)
            store_panel(out + t * ldo + (p + i) * OXI_PANEL, rows[t] + OXI_PANEL * i, rows_of(m, p + i));
}

#define DIRECT_CASE(n)                                                                                                 \
    case n:                                                                                                            \
        if (n <= direct_tokens(pack))                                                                                  \
            direct(pack, book, direct_panels_of(pack, book, n), n <= direct_tokens(pack) ? n : 1, m, p, n_panels, xt, n_tokens,    \
                   n_left, ot, ldo, b);                                                                                \
        break;

INLINE void direct_panels(oxi_pack pack, const oxi_codebook *book, const oxi_matrix *m, int64_t p0, int64_t p1, const oxi_act_record *x, int n_tokens,
                          float *out, int64_t ldo, book_scratch *b)
{
    const int share = even_share(n_tokens, direct_tokens(pack)), together = direct_panels_of(pack, book, share);
    for (int64_t p = p0; p < p1; p += together) {
        const int n_panels = (int)(p1 - p < together ? p1 - p : together);
        for (int t = 0; t < n_tokens; t += share) {
            const oxi_act_record *xt = x + t;
            float *ot = out + t * ldo;
            const int n_left = n_tokens - t < share ? n_tokens - t : share;
            const int n = kernel_tokens(n_left, share);
            /* One or two tokens left over of many run in the smallest kernel for TILE_PANELS. */
            switch (together > 1 && n < DIRECT_PAIRS ? (DIRECT_PAIRS + 1) & ~1 : n) {
                DIRECT_CASE(1) DIRECT_CASE(2) DIRECT_CASE(4) DIRECT_CASE(6) DIRECT_CASE(8)
            }
        }
    }
}
