/* Float matrices of a vector isa, for few tokens and many. Each row and token has one chain of fused multiply-adds, in
 * column order, whatever the number of tokens. */

/* Columns come two at a time: bfloat16 pairs share a lane. A matrix with an odd number of columns ends with a column of
 * zero activations times whatever the pack holds there, so pairs past the last column are never read; see float_pairs. */
INLINE void read_pair(oxi_pack pack, const uint8_t *panel, int64_t pair, int strip, v_f32 w[2])
{
    if (pack == OXI_PACK_F32) {
        w[0] = load_f32(panel + 128 * pair + VB * strip);
        w[1] = load_f32(panel + 128 * pair + 64 + VB * strip);
    } else if (pack == OXI_PACK_F16) {
        w[0] = load_half(panel + 64 * pair + VB / 2 * strip);
        w[1] = load_half(panel + 64 * pair + 32 + VB / 2 * strip);
    } else {
        const v_i32 both = (v_i32)load_u8(panel + 64 * pair + VB * strip);
        w[0] = (v_f32)(both << 16);
        w[1] = (v_f32)(both & (int32_t)0xffff0000);
    }
}

/* The last column of an odd matrix, alone. */
INLINE v_f32 read_last(oxi_pack pack, const uint8_t *panel, int64_t pair, int strip)
{
    if (pack == OXI_PACK_F32) return load_f32(panel + 128 * pair + VB * strip);
    if (pack == OXI_PACK_F16) return load_half(panel + 64 * pair + VB / 2 * strip);
    return (v_f32)((v_i32)load_u8(panel + 64 * pair + VB * strip) << 16);
}

INLINE size_t pair_bytes(oxi_pack pack) { return pack == OXI_PACK_F32 ? 128 : 64; }

/* One turn (gemv_body.h): `cols` columns at `w` of a panel times `tokens` records of x, added to `sums`. */
INLINE void gemv_float(oxi_pack pack, int tokens, const uint8_t *w, const uint8_t *ahead, int cache, const float *x, int cols,
                       float (*sums)[OXI_PANEL])
{
    v_f32 sum[TILE_VECTORS][MAX_TOKENS], c[2];
    load_sums(STRIPS, tokens, sums[0], 0, sum);
    for (int pair = 0; pair < cols / 2; pair++) {
        if (cache == 1) fetch(ahead + pair_bytes(pack) * (size_t)pair, pair_bytes(pack));
        else if (cache == 2) fetch_l2(ahead + pair_bytes(pack) * (size_t)pair, pair_bytes(pack));
        UNROLL for (int v = 0; v < STRIPS; v++) {
            read_pair(pack, w, pair, v, c);
            UNROLL for (int t = 0; t < tokens; t++) {
                sum[v][t] = multiply_add(c[0], every_f32(x[OXI_CHUNK * t + 2 * pair]), sum[v][t]);
                sum[v][t] = multiply_add(c[1], every_f32(x[OXI_CHUNK * t + 2 * pair + 1]), sum[v][t]);
            }
        }
    }
    if (cols % 2)
        UNROLL for (int v = 0; v < STRIPS; v++) {
            c[0] = read_last(pack, w, cols / 2, v);
            UNROLL for (int t = 0; t < tokens; t++)
                sum[v][t] = multiply_add(c[0], every_f32(x[OXI_CHUNK * t + cols - 1]), sum[v][t]);
        }
    store_sums(STRIPS, tokens, sum, sums[0], 0);
}

/* A round of floats takes one tile's panels: their chunk alone fills the L1 cache. */
typedef struct float_scratch {
    float w[TILE_PANELS][OXI_CHUNK][OXI_PANEL];
    float sum[ROUND_TOKENS + MAX_TOKENS][TILE_ROWS];
} float_scratch;

_Static_assert(sizeof(float_scratch) <= OXI_MATMUL_SCRATCH, "a round of floats fits the scratch");

INLINE void unpack_float_chunk(oxi_pack pack, const uint8_t *src, int cols, float w[][OXI_PANEL])
{
    UNROLL for (int v = 0; v < STRIPS; v++) {
        v_f32 pair[2];
        for (int i = 0; i < cols / 2; i++) {
            read_pair(pack, src, i, v, pair);
            store_f32(w[2 * i] + LANES * v, pair[0]);
            store_f32(w[2 * i + 1] + LANES * v, pair[1]);
        }
        if (cols % 2) store_f32(w[cols - 1] + LANES * v, read_last(pack, src, cols / 2, v));
    }
}

INLINE void tile_float(int tokens, const float (*w)[OXI_CHUNK][OXI_PANEL], const float *x, int cols,
                       float sums[][TILE_ROWS])
{
    v_f32 sum[TILE_VECTORS][MAX_TOKENS];
    UNROLL for (int v = 0; v < TILE_VECTORS; v++)
        UNROLL for (int t = 0; t < tokens; t++) sum[v][t] = load_f32(sums[t] + LANES * v);
    for (int i = 0; i < cols; i++) {
        v_f32 c[TILE_VECTORS];
        UNROLL for (int v = 0; v < TILE_VECTORS; v++) c[v] = load_f32(w[v / STRIPS][i] + LANES * (v % STRIPS));
        UNROLL for (int t = 0; t < tokens; t++) {
            const v_f32 xt = every_f32(x[OXI_CHUNK * t + i]);
            UNROLL for (int v = 0; v < TILE_VECTORS; v++) sum[v][t] = multiply_add(c[v], xt, sum[v][t]);
        }
    }
    UNROLL for (int v = 0; v < TILE_VECTORS; v++)
        UNROLL for (int t = 0; t < tokens; t++) store_f32(sums[t] + LANES * v, sum[v][t]);
}

#define TILE_FLOAT_CASE(n)                                                                                             \
    case n:                                                                                                            \
        if (n <= TILE_TOKENS) tile_float(n <= TILE_TOKENS ? n : 2, (const float(*)[OXI_CHUNK][OXI_PANEL])r->w,         \
                                         x + t0 * OXI_CHUNK, cols, r->sum + t0);                                       \
        break;

static void tile_float_tokens(float_scratch *r, const float *x, int n_tokens, int cols)
{
    for (int t0 = 0; t0 < n_tokens; t0 += TILE_TOKENS)
        switch (kernel_tokens((n_tokens - t0 + 1) & ~1, TILE_TOKENS)) {
            TILE_FLOAT_CASE(2) TILE_FLOAT_CASE(4) TILE_FLOAT_CASE(6) TILE_FLOAT_CASE(8)
        }
}

INLINE void gemm_float(oxi_pack pack, const oxi_matrix *m, int64_t p0, int64_t p1, const float *act, int64_t n_tokens,
                       float *out, int64_t ldo, float_scratch *r)
{
    for (int64_t p = p0; p < p1; p += TILE_PANELS) {
        const int n_panels = (int)(p1 - p < TILE_PANELS ? p1 - p : TILE_PANELS);
        if (n_panels < TILE_PANELS) memset(r->w, 0, sizeof r->w);
        for (int64_t t0 = 0; t0 < n_tokens; t0 += ROUND_TOKENS) {
            const int n = (int)(n_tokens - t0 < ROUND_TOKENS ? n_tokens - t0 : ROUND_TOKENS);
            memset(r->sum, 0, (size_t)n * sizeof r->sum[0]);
            for (int64_t c = 0; c < oxi_n_chunks(m->n_cols); c++) {
                const int cols = oxi_chunk_cols(m->n_cols, c);
                const size_t at = (size_t)c * OXI_CHUNK * OXI_PANEL * (pack == OXI_PACK_F32 ? 4 : 2);
                for (int i = 0; i < n_panels; i++)
                    unpack_float_chunk(pack, m->data + (size_t)(p + i) * m->panel_bytes + at, cols, r->w[i]);
                tile_float_tokens(r, act + (c * n_tokens + t0) * OXI_CHUNK, n, cols);
            }
            store_round(m, p, n_panels, &r->sum[0][0], t0, n, out, ldo);
        }
    }
}

enum { FLOAT_TURN = 16, FLOAT_LEAD = 2048 }; /* columns in a turn of few tokens; bytes of a panel to prefetch ahead */

#define GEMV_FLOAT_CASE(n)                                                                                             \
    case n:                                                                                                            \
        if (n <= GEMV_TOKENS)                                                                                          \
            gemv_float(pack, n <= GEMV_TOKENS ? n : 1, w + at, ahead, reading->cache,                                  \
                       x + t * OXI_CHUNK + from, n_cols, s->sum[i] + t);                                               \
        break;

/* Panels [p, p + n_panels), at most OXI_MAX_TURNS, times all tokens. */
INLINE void gemv_float_streams(oxi_pack pack, const oxi_matrix *m, int64_t p, int n_panels, const float *x, int n_tokens,
                               gemv_scratch *s)
{
    const oxi_reading *const reading = reading_for(m, n_tokens);
    const int turn = n_tokens >= OXI_SEVERAL || !reading->short_turns ? OXI_CHUNK : FLOAT_TURN;
    const size_t lead = reading->ahead ? reading->ahead : FLOAT_LEAD;
    size_t at = 0;
    for (int64_t c = 0; c < oxi_n_chunks(m->n_cols); c++, x += n_tokens * OXI_CHUNK) {
        const int cols = oxi_chunk_cols(m->n_cols, c);
        for (int from = 0; from < cols; from += turn, at += pair_bytes(pack) * (size_t)turn / 2) {
            const int n_cols = cols - from < turn ? cols - from : turn;
            for (int i = 0; i < n_panels; i++) {
                const uint8_t *w = m->data + (size_t)(p + i) * m->panel_bytes, *ahead = ahead_of(m, w, at, lead, n_panels);
                for (int t = 0; t < n_tokens; t += GEMV_TOKENS) {
                    switch (kernel_tokens(n_tokens - t < GEMV_TOKENS ? n_tokens - t : GEMV_TOKENS, GEMV_TOKENS)) {
                        GEMV_FLOAT_CASE(1) GEMV_FLOAT_CASE(2) GEMV_FLOAT_CASE(4) GEMV_FLOAT_CASE(6) GEMV_FLOAT_CASE(8)
                    }
                }
            }
        }
    }
}

INLINE void gemv_float_panels(oxi_pack pack, const oxi_matrix *m, int64_t p0, int64_t p1, const float *x, int n_tokens,
                              float *out, int64_t ldo, gemv_scratch *s)
{
    for (int64_t p = p0; p < p1;) {
        const int n_panels = streams_of(reading_for(m, n_tokens), p1 - p, 1);
        begin_streams(n_panels, n_tokens, s);
        gemv_float_streams(pack, m, p, n_panels, x, n_tokens, s);
        end_streams(m, p, n_panels, n_tokens, out, ldo, s);
        p += n_panels;
    }
}

#define MATMUL_FLOAT(name, pack)                                                                                       \
    static void name(const oxi_matrix *m, int64_t p0, int64_t p1, const void *act, int64_t n_tokens, float *out,       \
                     int64_t ldo, void *scratch)                                                                       \
    {                                                                                                                  \
        if (n_tokens <= GEMV_LIMIT) gemv_float_panels(pack, m, p0, p1, act, (int)n_tokens, out, ldo, scratch);         \
        else gemm_float(pack, m, p0, p1, act, n_tokens, out, ldo, scratch);                                            \
    }

MATMUL_FLOAT(matmul_f32, OXI_PACK_F32)
MATMUL_FLOAT(matmul_f16, OXI_PACK_F16)
MATMUL_FLOAT(matmul_bf16, OXI_PACK_BF16)
