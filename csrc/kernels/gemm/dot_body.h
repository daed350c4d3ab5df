/* The product of one chunk: the body of the kernels for few tokens (weights packed, as in memory) and for many (weights
 * unpacked). Both run this code in the same order of operations, so both give the same bits. */

/* A chunk of one panel: packed as in memory, or unpacked for many tokens. */
typedef struct unpacked_chunk {
    uint8_t code[OXI_CHUNK / 4][64];
    float d[OXI_PANEL];                     /* of whole parts */
    union { /* per scale group, unless the codes include their scales */
        float scale[OXI_CHUNK / 16][OXI_PANEL];
        int16_t whole_scale[OXI_CHUNK / 16][2 * OXI_PANEL]; /* each twice */
    };
    union {
        float least[OXI_CHUNK / 16][OXI_PANEL]; /* per scale group */
        struct {
            int16_t minimum[8][2 * OXI_PANEL]; /* [pair of groups][row][group % 2] */
            float dmin[OXI_PANEL];
        };
    };
} unpacked_chunk;

#define ROUND_PANELS 4 /* unpacked together */

/* What to prefetch beside an unpacked chunk: with each group, `step` lines of each panel to unpack next, in turns. A burst
 * of requests would wait for the few that can be under way. */
typedef struct prefetch {
    const uint8_t *at[ROUND_PANELS];
    int step;
} prefetch;

typedef struct chunk {
    const uint8_t *packed, *factors;
    const uint8_t *ahead;   /* packed: prefetch as much as is read, from here */
    int cache;              /* packed: it is prefetched into this cache (oxi_reading) */
    const unpacked_chunk *unpacked; /* NULL: use the fields above */
    const prefetch *planned;       /* for unpacked chunks, or NULL */
} chunk;

/* The chunk at `src`, which has n_groups groups of columns; it may be decoded into the scratch of `panel`. */
INLINE chunk chunk_at(oxi_pack pack, const oxi_codebook *codebook, const oxi_matrix *m, const uint8_t *src, int n_groups,
                      codebook_scratch *b, int panel)
{
    chunk w = {.packed = src + oxi_factor_bytes(pack, n_groups), .factors = src};
    if (!with_codebook(pack, codebook)) return w;
    w.packed = src;
#if WIDE_LOOKUP
    (void)m;
    w.factors = b->factors[panel];
    decode_factors(pack, codebook, src, b->factors[panel]);
#else
    w.packed = b->decoded[panel] + oxi_factor_bytes(pack, n_groups);
    w.factors = b->decoded[panel];
    m->decoder->decode(codebook, group_of(pack), b->tables, src, b->decoded[panel]);
#endif
    return w;
}

INLINE void fetch(const uint8_t *p, size_t bytes)
{
    UNROLL for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(p + at);
}

/* The same, into the second cache. */
INLINE void fetch_l2(const uint8_t *p, size_t bytes)
{
    UNROLL for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(p + at, 0, 2);
}

/* Bytes that each group prefetches; and the rest of a whole chunk, which the first group prefetches before: a pack's
 * factors. */
INLINE size_t fetched_with_group(oxi_pack pack, const oxi_codebook *codebook)
{
    return with_codebook(pack, codebook) ? chunk_step(pack, codebook, 0) / OXI_CHUNK_GROUPS & ~(size_t)63 : oxi_group_bytes(pack);
}

INLINE size_t fetched_first(oxi_pack pack, const oxi_codebook *codebook)
{
    return chunk_step(pack, codebook, OXI_CHUNK_GROUPS) - fetched_with_group(pack, codebook) * OXI_CHUNK_GROUPS;
}

/* Prefetch what lies ahead of group g. */
INLINE void fetch_ahead(oxi_pack pack, const oxi_codebook *codebook, const chunk *w, int g)
{
    const size_t first = fetched_first(pack, codebook), bytes = fetched_with_group(pack, codebook);
    const uint8_t *const group = w->ahead + first + (size_t)g * bytes;
    if (w->cache == 1) {
        if (g == 0) fetch(w->ahead, first);
        fetch(group, bytes);
    } else if (w->cache == 2) {
        if (g == 0) fetch_l2(w->ahead, first);
        fetch_l2(group, bytes);
    }
}

/* Read a byte of each line of a chunk's factors, in order, before the codes behind them. Groups would come back to the
 * later lines after their codes, and a processor that prefetches ascending lines (Zen 4) reads a tenth less then. Factors
 * with a d for the whole chunk do not need it: their last line is read first anyway. */
INLINE void touch_factors(oxi_pack pack, const oxi_codebook *codebook, const chunk *w)
{
    if (factors_of(pack) > OXI_FACTORS_E4M3 || with_codebook(pack, codebook)) return;
    UNROLL for (size_t at = 0; at < oxi_factor_bytes(pack, OXI_CHUNK_GROUPS); at += 64)
        (void)*(const volatile uint8_t *)(w->factors + at);
}

INLINE void fetch_planned(const prefetch *planned, int group)
{
    if (!planned) return;
    for (int i = planned->step * group; i < planned->step * (group + 1); i++)
        UNROLL for (int p = 0; p < ROUND_PANELS; p++) __builtin_prefetch(planned->at[p] + 64 * i);
}

/* The place `lead` bytes ahead of byte `at` of a panel, when `together` panels are read side by side and the next panels
 * follow them. */
INLINE const uint8_t *ahead_of(const oxi_matrix *m, const uint8_t *panel, size_t at, size_t lead, int together)
{
    const uint8_t *ahead = panel + at + lead;
    return at + lead < m->panel_bytes ? ahead : ahead + (size_t)(together - 1) * m->panel_bytes;
}

/* Minus OXI_ACT_ZERO times the activations' sum over a scale group. */
INLINE const int32_t *start_at(oxi_pack pack, const oxi_act_record *x, int group)
{
    return group_of(pack) == 32 ? x->start32 + group : x->start16 + group;
}

/* The start of a scale group's integer sum: minus the zero point times the activations' sum. */
INLINE v_i32 start_of(oxi_pack pack, bool unpacked, const oxi_act_record *x, int group)
{
    const int shift = zero_shift_of(pack, unpacked);
    return shift < 0 ? (v_i32){0} : every_lane(start_at(pack, x, group)) >> (OXI_ACT_ZERO_SHIFT - shift);
}

#if PAIRED_DOTS
/* Like dot_codes below, for unpacked chunks whose registers hold two rows by two registers' columns (unpack_codes). */
INLINE void dot_pairs(int vectors, int tokens, const chunk *w, const oxi_act_record *x, int group, int first, int n,
                      v_i32 dot[TILE_VECTORS][MAX_TOKENS])
{
    v_i32 sum[TILE_VECTORS][2][MAX_TOKENS / 2];
    UNROLL for (int v = 0; v < vectors; v++)
        UNROLL for (int t = 0; t < tokens / 2; t++) sum[v][0][t] = sum[v][1][t] = (v_i32){0};
    UNROLL for (int i = first; i < first + n; i += 2) {
        v_u8 two[MAX_TOKENS / 2];
        UNROLL for (int t = 0; t < tokens / 2; t++) {
            int64_t a, b;
            memcpy(&a, x[2 * t].q + OXI_GROUP * group + 4 * i, sizeof a);
            memcpy(&b, x[2 * t + 1].q + OXI_GROUP * group + 4 * i, sizeof b);
            two[t] = (v_u8)(v_i64){a, b};
        }
        UNROLL for (int v = 0; v < vectors; v++)
            UNROLL for (int half = 0; half < 2; half++) {
                const v_u8 c = load_u8(w[v / STRIPS].unpacked->code[8 * group + i + half] + VB * (v % STRIPS));
                UNROLL for (int t = 0; t < tokens / 2; t++) sum[v][half][t] = dot2x2(sum[v][half][t], c, two[t]);
            }
    }
    UNROLL for (int v = 0; v < vectors; v++)
        UNROLL for (int t = 0; t < tokens / 2; t++) {
            dot[v][2 * t] += evens(sum[v][0][t], sum[v][1][t]);
            dot[v][2 * t + 1] += odds(sum[v][0][t], sum[v][1][t]);
        }
}
#endif

/* dot[v][t] += the products of code registers [first, first + n) of a group, times `scale` unless it is NULL; v runs
 * over the strips of the panels. */
INLINE void dot_codes(oxi_pack pack, const constants *k, bool unpacked, int vectors, int tokens, const chunk *w,
                      const registers *packed, const oxi_act_record *x, int group, int first, int n, const v_i16 *scale,
                      v_i32 dot[TILE_VECTORS][MAX_TOKENS])
{
#if PAIRED_DOTS
    if (unpacked) {
        dot_pairs(vectors, tokens, w, x, group, first, n, dot);
        return;
    }
#endif
    const int step = WIDE_SUMS || dots_per_widen(pack) > n ? n : dots_per_widen(pack);
    UNROLL for (int i0 = first; i0 < first + n; i0 += step) {
        v_i32 sum[TILE_VECTORS][MAX_TOKENS];
        UNROLL for (int v = 0; v < vectors; v++)
            UNROLL for (int t = 0; t < tokens; t++) sum[v][t] = WIDE_SUMS ? dot[v][t] : (v_i32){0};
        UNROLL for (int i = i0; i < i0 + step; i++) {
            v_u8 c[TILE_VECTORS];
            UNROLL for (int v = 0; v < vectors; v++)
                c[v] = unpacked ? load_u8(w[v / STRIPS].unpacked->code[8 * group + i] + VB * (v % STRIPS))
                            : read_codes(pack, k, packed + v, i);
            UNROLL for (int t = 0; t < tokens; t++) {
                const v_i32 xt = every_lane(x[t].q + OXI_GROUP * group + 4 * i);
                UNROLL for (int v = 0; v < vectors; v++) sum[v][t] = dot4(sum[v][t], c[v], xt, bits_of(pack));
            }
        }
        UNROLL for (int v = 0; v < vectors; v++)
            UNROLL for (int t = 0; t < tokens; t++)
                dot[v][t] = WIDE_SUMS ? sum[v][t] : scale ? dot2(dot[v][t], (v_i16)sum[v][t], scale[v]) : widen(dot[v][t], sum[v][t]);
    }
}

/* One or two tokens leave registers for planes, and need the load slots for codes from memory. */
INLINE bool holds_planes(int tokens) { return STRIPS == 1 && tokens <= 2; }

/* Add one group of 32 columns to `sum`: the result itself where groups have their own scales, else the chunk's part,
 * which is in 32-bit integers if scaled_when_widened. */
INLINE void add_group(oxi_pack pack, const constants *constant, bool unpacked, int vectors, int tokens, const chunk *w,
                      const oxi_act_record *x, int group, const v_f32 d[TILE_VECTORS], v_f32 sum[TILE_VECTORS][MAX_TOKENS])
{
    const int per = OXI_GROUP / group_of(pack), n = 8 / per;
    registers packed[TILE_VECTORS];
    if (!unpacked)
        UNROLL for (int v = 0; v < vectors; v++)
            packed[v] = read_group(pack, constant, holds_planes(tokens), w[v / STRIPS].packed, group, v % STRIPS);
    UNROLL for (int k = 0; k < per; k++) {
        const int sg = group * per + k; /* scale group */
        v_i32 dot[TILE_VECTORS][MAX_TOKENS];
        if (scaled_when_widened(pack)) {
            v_i16 scale[TILE_VECTORS];
            UNROLL for (int v = 0; v < vectors; v++) {
                scale[v] = unpacked ? (v_i16)load_u8(w[v / STRIPS].unpacked->whole_scale[sg] + 2 * LANES * (v % STRIPS))
                                : read_scale_i16(pack, w[v / STRIPS].factors, sg, v % STRIPS);
                UNROLL for (int t = 0; t < tokens; t++) dot[v][t] = (v_i32)sum[v][t];
            }
            dot_codes(pack, constant, unpacked, vectors, tokens, w, packed, x, group, n * k, n, scale, dot);
            UNROLL for (int v = 0; v < vectors; v++)
                UNROLL for (int t = 0; t < tokens; t++) sum[v][t] = (v_f32)dot[v][t];
            continue;
        }
        UNROLL for (int t = 0; t < tokens; t++) {
            const v_i32 start = start_of(pack, unpacked, x + t, sg);
            UNROLL for (int v = 0; v < vectors; v++) dot[v][t] = start;
        }
        dot_codes(pack, constant, unpacked, vectors, tokens, w, packed, x, group, n * k, n, NULL, dot);
        UNROLL for (int v = 0; v < vectors; v++) {
            const v_f32 scale = unpacked ? load_f32(w[v / STRIPS].unpacked->scale[sg] + LANES * (v % STRIPS))
                                     : read_scale(pack, w[v / STRIPS].factors, sg, v % STRIPS, d[v]);
            UNROLL for (int t = 0; t < tokens; t++) {
                const v_f32 both = scale_per_group(pack) ? scale * every_f32(x[t].d[group]) : scale;
                sum[v][t] = multiply_add(to_float(dot[v][t]), both, sum[v][t]);
            }
            if (!has_group_minima(pack)) continue;
            const v_f32 least = unpacked ? load_f32(w[v / STRIPS].unpacked->least[sg] + LANES * (v % STRIPS))
                                     : read_minimum(w[v / STRIPS].factors, sg, v % STRIPS);
            UNROLL for (int t = 0; t < tokens; t++)
                sum[v][t] = multiply_add(least, every_f32((float)*start_at(pack, x + t, sg) * (x[t].d[group] / OXI_ACT_ZERO)), sum[v][t]);
        }
    }
}

/* The end of a chunk in formats of 256: sum + (part - minima * dmin) * d; a whole part is multiplied by the weights' d
 * first. */
INLINE void close_chunk(oxi_pack pack, const constants *k, bool unpacked, int vectors, int tokens, const chunk *w,
                        const oxi_act_record *x, const v_f32 part[TILE_VECTORS][MAX_TOKENS], v_f32 sum[TILE_VECTORS][MAX_TOKENS])
{
    UNROLL for (int v = 0; v < vectors; v++) {
        const chunk *from = w + v / STRIPS;
        const int strip = v % STRIPS;
        v_i16 minima[8];
        v_f32 d = {0}, dmin = {0};
        if (has_whole_parts(pack))
            d = unpacked ? load_f32(from->unpacked->d + LANES * strip) : read_d(pack, k, from->factors, strip);
        if (has_minima(pack)) {
            UNROLL for (int p = 0; p < pairs_of_minima(pack); p++)
                minima[p] = unpacked ? (v_i16)load_u8(from->unpacked->minimum[p] + 2 * LANES * strip)
                                 : read_minima(pack, from->factors, p, strip);
            dmin = unpacked ? load_f32(from->unpacked->dmin + LANES * strip) : read_dmin(pack, from->factors, strip);
        }
        UNROLL for (int t = 0; t < tokens; t++) {
            v_f32 whole = scaled_when_widened(pack) ? to_float((v_i32)part[v][t]) : part[v][t];
            if (has_whole_parts(pack)) whole *= d;
            if (has_minima(pack)) {
                const int16_t *const sums = group_of(pack) == 16 ? x[t].sum16 : x[t].sum32;
                v_i32 dot = {0};
                UNROLL for (int p = 0; p < pairs_of_minima(pack); p++)
                    dot = dot2(dot, minima[p], (v_i16)every_lane(sums + 2 * p));
                whole = multiply_add(to_float(dot), -dmin, whole);
            }
            sum[v][t] = multiply_add(whole, every_f32(x[t].d[0]), sum[v][t]);
        }
    }
}

/* Add groups [g0, g1) of a chunk, `vectors` strips of rows times `tokens` records, to `sum`: the result
 * itself where groups have whole scales, else the chunk's part, which close_chunk adds to the result. */
INLINE void add_groups(oxi_pack pack, const constants *k, bool unpacked, int vectors, int tokens, const chunk *w,
                       const oxi_act_record *x, int g0, int g1, v_f32 sum[TILE_VECTORS][MAX_TOKENS])
{
    v_f32 d[TILE_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) d[v] = unpacked ? (v_f32){0} : group_d(pack, k, w[v / STRIPS].factors, v % STRIPS);
    if (!unpacked && g0 == 0 && tokens < OXI_SEVERAL)
        UNROLL for (int i = 0; i < vectors / STRIPS; i++) touch_factors(pack, k->codebook, w + i);
    for (int g = g0; g < g1; g++) {
        if (unpacked) fetch_planned(w->planned, g);
        if (!unpacked)
            UNROLL for (int i = 0; i < vectors / STRIPS; i++)
                fetch_ahead(pack, k->codebook, w + i, g);
        add_group(pack, k, unpacked, vectors, tokens, w, x, g, d, sum);
    }
}

/* The same for all groups of an unpacked chunk whose codes include their scales. */
INLINE void add_scaled(oxi_pack pack, int vectors, int tokens, const chunk *w, const oxi_act_record *x, int n_groups,
                       v_f32 part[TILE_VECTORS][MAX_TOKENS])
{
    v_i32 dot[TILE_VECTORS][MAX_TOKENS];
    UNROLL for (int t = 0; t < tokens; t++) {
        const v_i32 start = zero_shift_of(pack, true) < 0 ? (v_i32){0} : every_lane(&x[t].start256);
        UNROLL for (int v = 0; v < vectors; v++) dot[v][t] = start;
    }
    for (int g = 0; g < n_groups; g++) {
        fetch_planned(w->planned, g);
        dot_codes(pack, NULL, true, vectors, tokens, w, NULL, x, g, 0, 8, NULL, dot);
    }
    UNROLL for (int v = 0; v < vectors; v++)
        UNROLL for (int t = 0; t < tokens; t++) part[v][t] = to_float(dot[v][t]);
}

INLINE void zero(int vectors, int tokens, v_f32 sum[TILE_VECTORS][MAX_TOKENS])
{
    UNROLL for (int v = 0; v < vectors; v++) UNROLL for (int t = 0; t < tokens; t++) sum[v][t] = (v_f32){0};
}
