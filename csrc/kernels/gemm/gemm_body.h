/* Many tokens: weights are unpacked once and multiplied in tiles. Arithmetic is the limit; memory works meanwhile,
 * because the tiles of one chunk prefetch the next. */

/* Panels unpacked together, and tokens between two unpackings of the same weights. Their partial sums and the unpacked
 * chunk share the scratch; the chunk stays in the L1 cache while all tokens pass. */
#define ROUND_TOKENS 512
#define ROUND_TILES (ROUND_PANELS / TILE_PANELS)

typedef struct gemm_scratch {
    unpacked_chunk unpacked[ROUND_PANELS];
    float sum[ROUND_TILES][ROUND_TOKENS + MAX_TOKENS][TILE_ROWS];
} gemm_scratch;

_Static_assert(sizeof(codebook_scratch) + sizeof(gemm_scratch) <= OXI_MATMUL_SCRATCH, "a round fits the scratch");

/* Unpacked codes are multiplied by `factor`; `shift` is added. */
typedef struct unpacking {
    v_u8 factor, shift;
} unpacking;

INLINE unpacking unpacking_of(oxi_pack pack, const uint8_t *factors, int scale_group, int strip)
{
    if (!multiplied_when_unpacked(pack)) return (unpacking){.shift = (v_u8){0} + (uint8_t)unpack_shift(pack)};
    const v_u8 scale = read_scale_u8(pack, factors, scale_group, strip);
    const int zero = oxi_traits[pack].zero_shift;
    if (zero < 0) return (unpacking){.factor = scale};
    /* -scale * (code - zero) + zero of unpacked ones */
    return (unpacking){.factor = -scale, .shift = (scale << zero) + (uint8_t)(SIGNED_BYTES ? 0 : OXI_ACT_ZERO)};
}

/* Unpack code registers i and i + 1 of a group; isas that multiply pairs get them side by side for each pair of rows. */
INLINE void unpack_codes(oxi_pack pack, const constants *k, const registers *group, const unpacking *how, int strip, int i,
                         uint8_t (*out)[64])
{
    v_u8 a = read_codes(pack, k, group, i), b = read_codes(pack, k, group, i + 1);
    if (multiplied_when_unpacked(pack)) {
        a *= how->factor;
        b *= how->factor;
    }
    a += how->shift;
    b += how->shift;
#if PAIRED_DOTS
    const v_i32 x = (v_i32)a, y = (v_i32)b;
    a = (v_u8)pairs_low(x, y);
    b = (v_u8)pairs_high(x, y);
#endif
    memcpy(out[0] + VB * strip, &a, VB);
    memcpy(out[1] + VB * strip, &b, VB);
}

INLINE void unpack_panel(oxi_pack pack, const constants *k, const chunk *w, int n_groups, unpacked_chunk *out)
{
    const uint8_t *factors = w->factors;
    const int per = OXI_GROUP / group_of(pack);
    for (int g = 0; g < n_groups; g++)
        UNROLL for (int v = 0; v < STRIPS; v++) {
            const registers r = read_group(pack, k, false, w->packed, g, v);
            UNROLL for (int j = 0; j < per; j++) {
                const unpacking how = unpacking_of(pack, factors, g * per + j, v);
                UNROLL for (int i = 8 / per * j; i < 8 / per * (j + 1); i += 2)
                    unpack_codes(pack, k, &r, &how, v, i, out->code + 8 * g + i);
            }
        }
    UNROLL for (int v = 0; v < STRIPS; v++) {
        if (has_whole_parts(pack)) {
            const v_f32 d = read_d(pack, k, factors, v);
            store_f32(out->d + LANES * v, negated_when_unpacked(pack) ? -d : d);
        }
        const v_f32 d = group_d(pack, k, factors, v);
        for (int g = 0; g < n_groups * per; g++) {
            if (scaled_when_widened(pack)) {
                const v_i16 scale = read_scale_i16(pack, factors, g, v);
                memcpy(out->whole_scale[g] + 2 * LANES * v, &scale, VB);
            } else if (!scaled_when_unpacked(pack))
                store_f32(out->scale[g] + LANES * v, read_scale(pack, factors, g, v, d));
            if (has_group_minima(pack)) store_f32(out->least[g] + LANES * v, read_minimum(factors, g, v));
        }
        if (!has_minima(pack)) continue;
        UNROLL for (int p = 0; p < pairs_of_minima(pack); p++) {
            const v_i16 m = read_minima(pack, factors, p, v);
            memcpy(out->minimum[p] + 2 * LANES * v, &m, VB);
        }
        store_f32(out->dmin + LANES * v, read_dmin(pack, factors, v));
    }
}

/* What all tiles of one chunk prefetch together: `bytes` at `first`, and as many in each of the n_panels panels from
 * there on. */
typedef struct prefetch_plan {
    const uint8_t *first;
    size_t stride, bytes;
    int n_panels;
} prefetch_plan;

/* Lines of each panel per group, when n_calls tiles divide them. */
INLINE int step_of(const prefetch_plan *a, int n_calls)
{
    const int lines = (int)(a->bytes + 63) / 64, groups = n_calls * OXI_CHUNK_GROUPS;
    return (lines + groups - 1) / groups;
}

/* What tile number `call` prefetches, in `out`; NULL: nothing is left. */
INLINE const prefetch *prefetch_of(const prefetch_plan *a, int call, int step, prefetch *out)
{
    const size_t at = (size_t)(call * OXI_CHUNK_GROUPS * step) * 64;
    if (at >= a->bytes) return NULL;
    out->step = step;
    for (int i = 0; i < ROUND_PANELS; i++) out->at[i] = a->first + (size_t)(i < a->n_panels ? i : a->n_panels - 1) * a->stride + at;
    return out;
}

INLINE void tile(oxi_pack pack, int tokens, const unpacked_chunk *unpacked, const prefetch *ahead, const oxi_act_record *x,
                 int n_groups, float sums[][TILE_ROWS])
{
    chunk w[TILE_PANELS];
    UNROLL for (int i = 0; i < TILE_PANELS; i++) w[i] = (chunk){.unpacked = unpacked + i, .planned = ahead};
    v_f32 sum[TILE_VECTORS][MAX_TOKENS], part[TILE_VECTORS][MAX_TOKENS];
    /* Read the sums so far only when the part is complete: together with the integer sums they do not fit the registers. */
    if (scaled_when_unpacked(pack)) {
        add_scaled(pack, TILE_VECTORS, tokens, w, x, n_groups, part);
    } else if (has_parts(pack)) {
        zero(TILE_VECTORS, tokens, part);
        add_groups(pack, NULL, true, TILE_VECTORS, tokens, w, x, 0, n_groups, part);
    }
    UNROLL for (int v = 0; v < TILE_VECTORS; v++)
        UNROLL for (int t = 0; t < tokens; t++) sum[v][t] = load_f32(sums[t] + LANES * v);
    if (has_parts(pack)) close_chunk(pack, NULL, true, TILE_VECTORS, tokens, w, x, part, sum);
    else add_groups(pack, NULL, true, TILE_VECTORS, tokens, w, x, 0, n_groups, sum);
    UNROLL for (int v = 0; v < TILE_VECTORS; v++)
        UNROLL for (int t = 0; t < tokens; t++) store_f32(sums[t] + LANES * v, sum[v][t]);
}

#define TILE_CASE(n)                                                                                                   \
    case n:                                                                                                            \
        if (n <= tile_tokens(pack)) tile(pack, n <= tile_tokens(pack) ? n : 2, w, ahead, x, n_groups, sums);           \
        break;

/* One chunk times all tokens of a round. */
INLINE void tile_chunk(oxi_pack pack, gemm_scratch *r, int n_tiles, const oxi_act_record *x0, int n_tokens, int n_groups,
                       const prefetch_plan *a)
{
    const int share = even_share(n_tokens, tile_tokens(pack));
    const int step = step_of(a, (n_tokens + share - 1) / share * n_tiles);
    int call = 0;
    for (int t0 = 0; t0 < n_tokens; t0 += share) {
        const int n = n_tokens - t0 < share ? n_tokens - t0 : share;
        for (int i = 0; i < n_tiles; i++) {
            const unpacked_chunk *w = r->unpacked + i * TILE_PANELS;
            const oxi_act_record *x = x0 + t0;
            prefetch place;
            const prefetch *ahead = prefetch_of(a, call++, step, &place);
            float(*sums)[TILE_ROWS] = r->sum[i] + t0;
            switch (kernel_tokens(n + n % 2, tile_tokens(pack))) {
                TILE_CASE(2) TILE_CASE(4) TILE_CASE(6) TILE_CASE(8)
            }
        }
    }
}

#define GEMM_TILE(pack)                                                                                                \
    static __attribute__((noinline)) void tile_chunk_##pack(gemm_scratch *r, int n_tiles, const oxi_act_record *x0,    \
                                                            int n_tokens, int n_groups, const prefetch_plan *a)        \
    {                                                                                                                  \
        tile_chunk(OXI_PACK_##pack, r, n_tiles, x0, n_tokens, n_groups, a);                                            \
    }

GEMM_TILE(Q4_32)
GEMM_TILE(Q8_32)
GEMM_TILE(Q4_256)
GEMM_TILE(Q5_256)
GEMM_TILE(Q6_256)
GEMM_TILE(Q5_32_MIN)
GEMM_TILE(Q2_256_16)
GEMM_TILE(T4_256)
GEMM_TILE(T3_256_16)
GEMM_TILE(Q3_256_16)
GEMM_TILE(Q8_256)
GEMM_TILE(T4_E4M3)

INLINE void tile_unpacked(oxi_pack pack, gemm_scratch *r, int n_tiles, const oxi_act_record *x0, int n_tokens, int n_groups,
                          const prefetch_plan *a)
{
    switch (unpacked_as(pack)) {
    case OXI_PACK_Q4_32: tile_chunk_Q4_32(r, n_tiles, x0, n_tokens, n_groups, a); break;
    case OXI_PACK_Q8_32: tile_chunk_Q8_32(r, n_tiles, x0, n_tokens, n_groups, a); break;
    case OXI_PACK_Q4_256: tile_chunk_Q4_256(r, n_tiles, x0, n_tokens, n_groups, a); break;
    case OXI_PACK_Q5_256: tile_chunk_Q5_256(r, n_tiles, x0, n_tokens, n_groups, a); break;
    case OXI_PACK_Q6_256: tile_chunk_Q6_256(r, n_tiles, x0, n_tokens, n_groups, a); break;
    case OXI_PACK_Q5_32_MIN: tile_chunk_Q5_32_MIN(r, n_tiles, x0, n_tokens, n_groups, a); break;
    case OXI_PACK_Q2_256_16: tile_chunk_Q2_256_16(r, n_tiles, x0, n_tokens, n_groups, a); break;
    case OXI_PACK_T4_256: tile_chunk_T4_256(r, n_tiles, x0, n_tokens, n_groups, a); break;
    case OXI_PACK_Q3_256_16: tile_chunk_Q3_256_16(r, n_tiles, x0, n_tokens, n_groups, a); break;
    case OXI_PACK_T3_256_16: tile_chunk_T3_256_16(r, n_tiles, x0, n_tokens, n_groups, a); break;
    case OXI_PACK_Q8_256: tile_chunk_Q8_256(r, n_tiles, x0, n_tokens, n_groups, a); break;
    default: tile_chunk_T4_E4M3(r, n_tiles, x0, n_tokens, n_groups, a); break;
    }
}

enum { STORE_AHEAD = 16 }; /* tokens */

static void store_round(const oxi_matrix *m, int64_t p0, int n_panels, const float *sums, int64_t t0, int n_tokens, float *out,
                        int64_t ldo)
{
    /* Token by token: each is a whole row of `out` after the last, on another page that no cache holds. */
    for (int t = 0; t < n_tokens; t++) {
        float *to = out + (t0 + t) * ldo + p0 * OXI_PANEL;
        for (int i = 0; i < n_panels; i++) {
            const float *from = sums + (size_t)(i / TILE_PANELS) * (ROUND_TOKENS + MAX_TOKENS) * TILE_ROWS + i % TILE_PANELS * OXI_PANEL;
            if (t + STORE_AHEAD < n_tokens) __builtin_prefetch(to + STORE_AHEAD * ldo + i * OXI_PANEL, 1);
            store_panel(to + i * OXI_PANEL, from + (size_t)t * TILE_ROWS, rows_of(m, p0 + i));
        }
    }
}

INLINE void gemm(oxi_pack pack, const oxi_codebook *codebook, const oxi_matrix *m, int64_t p0, int64_t p1,
                 const oxi_act_record *act, int64_t n_tokens, float *out, int64_t ldo, codebook_scratch *b, gemm_scratch *r)
{
    const constants k = constants_of(pack, codebook, m, b);
    for (int64_t p = p0; p < p1; p += ROUND_PANELS) {
        const int n_panels = (int)(p1 - p < ROUND_PANELS ? p1 - p : ROUND_PANELS);
        const int n_tiles = (n_panels + TILE_PANELS - 1) / TILE_PANELS;
        const uint8_t *const first = m->data + (size_t)p * m->panel_bytes;
        if (n_panels % TILE_PANELS) memset(&r->unpacked[n_panels], 0, sizeof r->unpacked[0]);
        for (int64_t t0 = 0; t0 < n_tokens; t0 += ROUND_TOKENS) {
            const int n = (int)(n_tokens - t0 < ROUND_TOKENS ? n_tokens - t0 : ROUND_TOKENS);
            for (int i = 0; i < n_tiles; i++) memset(r->sum[i], 0, (size_t)n * sizeof r->sum[i][0]);
            size_t at = 0;
            for (int64_t c = 0; c < oxi_n_chunks(m->n_cols); c++) {
                const int n_groups = oxi_chunk_cols(m->n_cols, c) / OXI_GROUP;
                for (int i = 0; i < n_panels; i++) {
                    const chunk w = chunk_at(pack, codebook, m, first + (size_t)i * m->panel_bytes + at, n_groups, b, 0);
                    unpack_panel(pack, &k, &w, n_groups, &r->unpacked[i]);
                }
                const size_t step = chunk_step(pack, codebook, n_groups);
                const prefetch_plan a = {ahead_of(m, first, at, step, ROUND_PANELS), m->panel_bytes, step, n_panels};
                tile_unpacked(pack, r, n_tiles, act + c * n_tokens + t0, n, n_groups, &a);
                at += step;
            }
            store_round(m, p, n_panels, &r->sum[0][0][0], t0, n, out, ldo);
        }
    }
}
