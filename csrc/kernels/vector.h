/* The body of a vector row: everything but the dozen operations that differ between instruction sets.
 *
 * An instruction-set file defines
 *     VB             bytes of a vector register: 16, 32 or 64
 *     TILE_PANELS    panels a tile of the many-token kernel covers
 *     TILE_TOKENS    tokens it covers, at most 8
 *     DIRECT_TOKENS  up to how many tokens weights go from memory straight to the multiplier
 *     SIGNED_BYTES   1: 8-bit codes are multiplied as signed bytes (zero point 0), 0: as unsigned ones (zero point 128)
 *     WIDE_SUMS      1: `dot4` adds to 32-bit sums, 0: to 16-bit ones that `widen` must empty every so often
 * and, on the types below,
 *     v_i32 dot4(v_i32 sum, v_u8 w, v_i32 x, int bits)   4 products per lane; w below 1 << bits, x -127..127
 *     v_i32 widen(v_i32 sum, v_i32 narrow)               sum + narrow's pairs
 *     v_i32 dot2(v_i32 sum, v_i16 a, v_i16 b)            2 products per lane
 *     v_f32 multiply_add(v_f32 a, v_f32 b, v_f32 c)               a * b + c, rounded once
 *     v_f32 load_half(const uint8_t *p)                  LANES halves
 * then includes this file and fills a table with TABLE(name, needs).
 */
#include "layout.h"
#include "prepare.h"
#include "rows.h"

#include <string.h>

#define LANES (VB / 4)
#define STRIPS (64 / VB) /* vectors in a panel's register */
#define TILE_VECTORS (TILE_PANELS * STRIPS)
#define TILE_ROWS (TILE_PANELS * OXI_PANEL)
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

typedef uint8_t v_lanes_u8 __attribute__((vector_size(LANES)));
typedef int8_t v_lanes_i8 __attribute__((vector_size(LANES)));

INLINE v_u8 load_u8(const void *p)
{
    v_u8 v;
    memcpy(&v, p, VB);
    return v;
}

INLINE v_f32 load_f32(const void *p) { return (v_f32)load_u8(p); }
INLINE void store_f32(float *p, v_f32 v) { memcpy(p, &v, VB); }

/* The four bytes at p in every lane. */
INLINE v_i32 every_lane(const void *p)
{
    int32_t x;
    memcpy(&x, p, 4);
    return x - (v_i32){0};
}

INLINE v_f32 every_f32(float x) { return x - (v_f32){0}; }
INLINE v_f32 to_float(v_i32 v) { return __builtin_convertvector(v, v_f32); }

INLINE v_f32 bytes_float(const uint8_t *p)
{
    v_lanes_u8 b;
    memcpy(&b, p, LANES);
    return to_float(__builtin_convertvector(b, v_i32));
}

INLINE v_f32 signed_bytes_float(const uint8_t *p)
{
    v_lanes_i8 b;
    memcpy(&b, p, LANES);
    return to_float(__builtin_convertvector(b, v_i32));
}

/* ------------------------------------------------------------------------------------------- what a format looks like */

/* Columns that share a scale, and whether each group's activations have a scale of their own. */
INLINE int group_of(oxi_pack pack) { return pack == OXI_PACK_Q6_256 ? 16 : 32; }
INLINE bool scale_per_group(oxi_pack pack) { return pack == OXI_PACK_Q4_32 || pack == OXI_PACK_Q8_32; }
INLINE bool has_minima(oxi_pack pack) { return pack == OXI_PACK_Q4_256 || pack == OXI_PACK_Q5_256; }

INLINE int bits_of(oxi_pack pack)
{
    return pack == OXI_PACK_Q8_32 ? 8 : pack == OXI_PACK_Q6_256 ? 6 : pack == OXI_PACK_Q5_256 ? 5 : 4;
}

/* How many dot4 a 16-bit sum takes when each adds two products: 8 * 2 * 15 * 127, 4 * 2 * 31 * 127, 2 * 2 * 63 * 127 and
 * 2 * 128 * 127 are all below 2^15. */
INLINE int dots_per_widen(oxi_pack pack)
{
    return pack == OXI_PACK_Q8_32 ? 1 : pack == OXI_PACK_Q6_256 ? 2 : pack == OXI_PACK_Q5_256 ? 4 : 8;
}

/* The group's eight code registers (layout.h), of one strip of lanes. */
INLINE void read_codes(oxi_pack pack, const uint8_t *group, int strip, v_u8 c[8])
{
    const uint8_t *p = group + VB * strip;
    if (pack == OXI_PACK_Q8_32) {
        UNROLL for (int i = 0; i < 8; i++) c[i] = SIGNED_BYTES ? load_u8(p + 64 * i) ^ 0x80 : load_u8(p + 64 * i);
        return;
    }
    UNROLL for (int j = 0; j < 4; j++) {
        const v_u8 n = load_u8(p + 64 * j);
        c[j] = n & 0x0f;
        c[4 + j] = (v_u8)((v_u16)n >> 4) & 0x0f;
    }
    if (pack == OXI_PACK_Q5_256) {
        const v_u16 h = (v_u16)load_u8(p + 256);
        UNROLL for (int i = 0; i < 8; i++) c[i] |= (v_u8)(i < 4 ? h << (4 - i) : h >> (i - 4)) & 0x10;
    }
    if (pack == OXI_PACK_Q6_256) {
        const v_u16 h[2] = {(v_u16)load_u8(p + 256), (v_u16)load_u8(p + 320)};
        UNROLL for (int i = 0; i < 8; i++)
            c[i] |= (v_u8)(i % 4 < 2 ? h[i / 4] << (4 - 2 * (i % 4)) : h[i / 4] >> (2 * (i % 4) - 4)) & 0x30;
    }
}

/* Scales and minima of one chunk of one panel, ready to multiply with. */
typedef struct chunk_scales {
    float scale[OXI_CHUNK / 16][OXI_PANEL]; /* per group */
    int16_t minimum[4][2 * OXI_PANEL];      /* [pair of groups][row][group % 2] */
    float dmin[OXI_PANEL];
} chunk_scales;

/* A chunk of one panel, codes unpacked. */
typedef struct open_chunk {
    uint8_t code[OXI_CHUNK / 4][64];
    chunk_scales s;
} open_chunk;

INLINE void read_scales(oxi_pack pack, const uint8_t *tail, int n_groups, chunk_scales *s)
{
    if (scale_per_group(pack)) {
        for (int g = 0; g < n_groups; g++)
            UNROLL for (int v = 0; v < STRIPS; v++)
                store_f32(s->scale[g] + LANES * v, load_half(tail + 32 * g + 2 * LANES * v));
        return;
    }
    if (pack == OXI_PACK_Q6_256) {
        UNROLL for (int v = 0; v < STRIPS; v++) {
            const v_f32 d = load_half(tail + OXI_Q6_TAIL_D + 2 * LANES * v);
            for (int g = 0; g < 16; g++)
                store_f32(s->scale[g] + LANES * v, d * signed_bytes_float(tail + OXI_PANEL * g + LANES * v));
        }
        return;
    }
    uint8_t scale[128], minimum[128];
    UNROLL for (int at = 0; at < 64; at += VB) {
        const v_u8 a = load_u8(tail + at), b = load_u8(tail + 64 + at), h = load_u8(tail + OXI_K_TAIL_HIGH + at);
        const v_u16 h16 = (v_u16)h;
        const v_u8 s0 = (a & 0x0f) | ((v_u8)(h16 << 4) & 0x30), s1 = (b & 0x0f) | (h & 0x30);
        const v_u8 m0 = ((v_u8)((v_u16)a >> 4) & 0x0f) | ((v_u8)(h16 << 2) & 0x30);
        const v_u8 m1 = ((v_u8)((v_u16)b >> 4) & 0x0f) | ((v_u8)(h16 >> 2) & 0x30);
        memcpy(scale + at, &s0, VB);
        memcpy(scale + 64 + at, &s1, VB);
        memcpy(minimum + at, &m0, VB);
        memcpy(minimum + 64 + at, &m1, VB);
    }
    UNROLL for (int pair = 0; pair < 4; pair++)
        for (int i = 0; i < 32; i++) s->minimum[pair][i] = minimum[32 * pair + i];
    UNROLL for (int v = 0; v < STRIPS; v++) {
        const v_f32 d = load_half(tail + OXI_K_TAIL_D + 2 * LANES * v);
        UNROLL for (int g = 0; g < 8; g++)
            store_f32(s->scale[g] + LANES * v, d * bytes_float(scale + OXI_PANEL * g + LANES * v));
        store_f32(s->dmin + LANES * v, load_half(tail + OXI_K_TAIL_DMIN + 2 * LANES * v));
    }
}

/* What a group's integer sum starts from: minus the zero point times the activations' sum. */
INLINE v_i32 start_of(oxi_pack pack, const oxi_act_record *x, int group)
{
    const int shift = SIGNED_BYTES && pack == OXI_PACK_Q8_32 ? -1 : oxi_zero_shift(pack);
    return shift < 0 ? (v_i32){0} : every_lane(&x->negsum[group]) << shift;
}

/* The chunk's end for formats of 256: sum + part * d - minima * (dmin * d). */
INLINE v_f32 close_chunk(oxi_pack pack, const chunk_scales *s, int strip, const oxi_act_record *x, v_f32 part, v_f32 sum)
{
    const v_f32 d = every_f32(x->d[0]);
    sum = multiply_add(part, d, sum);
    if (!has_minima(pack)) return sum;
    v_i32 minima = {0};
    UNROLL for (int pair = 0; pair < 4; pair++)
        minima = dot2(minima, (v_i16)load_u8(s->minimum[pair] + 2 * LANES * strip), (v_i16)every_lane(x->sum + 2 * pair));
    return multiply_add(to_float(minima), -(load_f32(s->dmin + LANES * strip) * d), sum);
}

/* ---------------------------------------------------------------------------- few tokens: one pass over the weights */

/* Far enough that memory answers in time, near enough to stay in the first caches. */
#define AHEAD 4096

INLINE void fetch_ahead(const uint8_t *p, size_t bytes)
{
    UNROLL for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(p + AHEAD + at, 0, 2);
}

INLINE v_i32 dot_registers(oxi_pack pack, v_i32 sum, const v_u8 *c, const int8_t *x, int n)
{
    if (WIDE_SUMS) {
        UNROLL for (int i = 0; i < n; i++) sum = dot4(sum, c[i], every_lane(x + 4 * i), bits_of(pack));
        return sum;
    }
    const int step = dots_per_widen(pack) < n ? dots_per_widen(pack) : n;
    UNROLL for (int i = 0; i < n; i += step) {
        v_i32 narrow = {0};
        UNROLL for (int k = 0; k < step; k++)
            narrow = dot4(narrow, c[i + k], every_lane(x + 4 * (i + k)), bits_of(pack));
        sum = widen(sum, narrow);
    }
    return sum;
}

INLINE void direct_chunk(oxi_pack pack, int tokens, const uint8_t *src, int n_groups, const oxi_act_record *x,
                         v_f32 sum[STRIPS][DIRECT_TOKENS])
{
    const size_t group_bytes = oxi_group_bytes(pack);
    const int per = OXI_GROUP / group_of(pack); /* scale groups in 32 columns */
    const uint8_t *tail = src + (size_t)n_groups * group_bytes;
    chunk_scales s;
    read_scales(pack, tail, n_groups, &s);
    v_f32 part[STRIPS][DIRECT_TOKENS];
    UNROLL for (int v = 0; v < STRIPS; v++) UNROLL for (int t = 0; t < tokens; t++) part[v][t] = (v_f32){0};
    for (int g = 0; g < n_groups; g++) {
        const uint8_t *group = src + (size_t)g * group_bytes;
        fetch_ahead(group, group_bytes);
        UNROLL for (int v = 0; v < STRIPS; v++) {
            v_u8 c[8];
            read_codes(pack, group, v, c);
            UNROLL for (int k = 0; k < per; k++) UNROLL for (int t = 0; t < tokens; t++) {
                const int scale_group = g * per + k, n = 8 / per;
                const v_i32 dot = dot_registers(pack, start_of(pack, x + t, scale_group), c + n * k,
                                                x[t].q + OXI_GROUP * g + 4 * n * k, n);
                const v_f32 scale = load_f32(s.scale[scale_group] + LANES * v);
                if (scale_per_group(pack)) sum[v][t] = multiply_add(to_float(dot), scale * every_f32(x[t].d[g]), sum[v][t]);
                else part[v][t] = multiply_add(to_float(dot), scale, part[v][t]);
            }
        }
    }
    fetch_ahead(tail, oxi_chunk_bytes(pack, 1) - group_bytes);
    if (scale_per_group(pack)) return;
    UNROLL for (int v = 0; v < STRIPS; v++)
        UNROLL for (int t = 0; t < tokens; t++) sum[v][t] = close_chunk(pack, &s, v, x + t, part[v][t], sum[v][t]);
}

/* Rows of one panel that exist. */
static int rows_of(const oxi_matrix *m, int64_t panel)
{
    const int64_t left = m->n_rows - panel * OXI_PANEL;
    return (int)(left < OXI_PANEL ? left : OXI_PANEL);
}

INLINE void direct(oxi_pack pack, int tokens, const oxi_matrix *m, int64_t p0, int64_t p1, const oxi_act_record *x,
                   int64_t stride, float *out, int64_t ldo)
{
    for (int64_t p = p0; p < p1; p++) {
        v_f32 sum[STRIPS][DIRECT_TOKENS];
        UNROLL for (int v = 0; v < STRIPS; v++) UNROLL for (int t = 0; t < tokens; t++) sum[v][t] = (v_f32){0};
        const uint8_t *src = m->data + (size_t)p * m->panel_bytes;
        int64_t cols = m->n_cols;
        for (const oxi_act_record *xc = x; cols > 0; cols -= OXI_CHUNK, xc += stride) {
            const int n_groups = cols < OXI_CHUNK ? (int)cols / OXI_GROUP : OXI_CHUNK_GROUPS;
            direct_chunk(pack, tokens, src, n_groups, xc, sum);
            src += oxi_chunk_bytes(pack, n_groups);
        }
        UNROLL for (int t = 0; t < tokens; t++) {
            float row[OXI_PANEL];
            UNROLL for (int v = 0; v < STRIPS; v++) store_f32(row + LANES * v, sum[v][t]);
            memcpy(out + t * ldo + p * OXI_PANEL, row, (size_t)rows_of(m, p) * sizeof(float));
        }
    }
}

/* ------------------------------------------------------------- many tokens: weights unpacked once, multiplied in tiles */

/* Panels unpacked together, tokens between two unpackings of the same weights. Their partial sums and the unpacked chunk
 * share the scratch; the chunk stays in the first cache while all tokens pass by. */
#define ROUND_PANELS 4
#define ROUND_TOKENS 512
#define ROUND_TILES (ROUND_PANELS / TILE_PANELS)

typedef struct round_scratch {
    open_chunk chunk[ROUND_PANELS];
    float sum[ROUND_TILES][ROUND_TOKENS][TILE_ROWS];
} round_scratch;

_Static_assert(sizeof(round_scratch) <= OXI_MATMUL_SCRATCH, "a round fits the scratch");

INLINE void open_panel_chunk(oxi_pack pack, const uint8_t *src, int n_groups, open_chunk *out)
{
    const size_t group_bytes = oxi_group_bytes(pack);
    for (int g = 0; g < n_groups; g++) {
        fetch_ahead(src + (size_t)g * group_bytes, group_bytes);
        UNROLL for (int v = 0; v < STRIPS; v++) {
            v_u8 c[8];
            read_codes(pack, src + (size_t)g * group_bytes, v, c);
            UNROLL for (int i = 0; i < 8; i++) memcpy(out->code[8 * g + i] + VB * v, &c[i], VB);
        }
    }
    read_scales(pack, src + (size_t)n_groups * group_bytes, n_groups, &out->s);
}

/* dot[v][t] += the products of one scale group. */
INLINE void tile_group(oxi_pack pack, int tokens, const open_chunk *w, const oxi_act_record *x, int group,
                       v_i32 dot[TILE_VECTORS][TILE_TOKENS])
{
    const int n = group_of(pack) / 4, step = WIDE_SUMS ? n : dots_per_widen(pack) < n ? dots_per_widen(pack) : n;
    UNROLL for (int i = 0; i < n; i += step) {
        v_i32 sum[TILE_VECTORS][TILE_TOKENS];
        UNROLL for (int v = 0; v < TILE_VECTORS; v++)
            UNROLL for (int t = 0; t < tokens; t++) sum[v][t] = WIDE_SUMS ? dot[v][t] : (v_i32){0};
        UNROLL for (int k = i; k < i + step; k++) {
            v_u8 c[TILE_VECTORS];
            UNROLL for (int v = 0; v < TILE_VECTORS; v++)
                c[v] = load_u8(w[v / STRIPS].code[group * n + k] + VB * (v % STRIPS));
            UNROLL for (int t = 0; t < tokens; t++) {
                const v_i32 xt = every_lane(x[t].q + 4 * (group * n + k));
                UNROLL for (int v = 0; v < TILE_VECTORS; v++) sum[v][t] = dot4(sum[v][t], c[v], xt, bits_of(pack));
            }
        }
        UNROLL for (int v = 0; v < TILE_VECTORS; v++)
            UNROLL for (int t = 0; t < tokens; t++) dot[v][t] = WIDE_SUMS ? sum[v][t] : widen(dot[v][t], sum[v][t]);
    }
}

INLINE void tile(oxi_pack pack, int tokens, const open_chunk *w, const oxi_act_record *x, int n_groups,
                 float sums[][TILE_ROWS])
{
    v_f32 sum[TILE_VECTORS][TILE_TOKENS];
    UNROLL for (int v = 0; v < TILE_VECTORS; v++)
        UNROLL for (int t = 0; t < tokens; t++)
            sum[v][t] = scale_per_group(pack) ? load_f32(sums[t] + LANES * v) : (v_f32){0};
    for (int g = 0; g < n_groups * OXI_GROUP / group_of(pack); g++) {
        v_i32 dot[TILE_VECTORS][TILE_TOKENS];
        UNROLL for (int t = 0; t < tokens; t++) {
            const v_i32 start = start_of(pack, x + t, g);
            UNROLL for (int v = 0; v < TILE_VECTORS; v++) dot[v][t] = start;
        }
        tile_group(pack, tokens, w, x, g, dot);
        UNROLL for (int v = 0; v < TILE_VECTORS; v++) {
            const v_f32 scale = load_f32(w[v / STRIPS].s.scale[g] + LANES * (v % STRIPS));
            UNROLL for (int t = 0; t < tokens; t++) {
                const v_f32 both = scale_per_group(pack) ? scale * every_f32(x[t].d[g]) : scale;
                sum[v][t] = multiply_add(to_float(dot[v][t]), both, sum[v][t]);
            }
        }
    }
    UNROLL for (int v = 0; v < TILE_VECTORS; v++)
        UNROLL for (int t = 0; t < tokens; t++) {
            float *to = sums[t] + LANES * v;
            store_f32(to, scale_per_group(pack) ? sum[v][t] : close_chunk(pack, &w[v / STRIPS].s, v % STRIPS, x + t,
                                                                         sum[v][t], load_f32(to)));
        }
}

#define TILE_CASE(n)                                                                                                   \
    case n:                                                                                                            \
        if (n <= TILE_TOKENS) tile(pack, n <= TILE_TOKENS ? n : 1, w, x, n_groups, sums);                              \
        break;

/* One chunk times all tokens of a round. */
INLINE void tile_tokens(oxi_pack pack, round_scratch *r, int n_tiles, const oxi_act_record *x0, int n_tokens, int n_groups)
{
    for (int t0 = 0; t0 < n_tokens; t0 += TILE_TOKENS) {
        const int n = n_tokens - t0 < TILE_TOKENS ? n_tokens - t0 : TILE_TOKENS;
        for (int i = 0; i < n_tiles; i++) {
            const open_chunk *w = r->chunk + i * TILE_PANELS;
            const oxi_act_record *x = x0 + t0;
            float(*sums)[TILE_ROWS] = r->sum[i] + t0;
            switch (n) {
                TILE_CASE(1) TILE_CASE(2) TILE_CASE(3) TILE_CASE(4) TILE_CASE(5) TILE_CASE(6) TILE_CASE(7) TILE_CASE(8)
            }
        }
    }
}

static void store_round(const oxi_matrix *m, int64_t p0, int n_panels, const float *sums, int64_t t0, int n_tokens, float *out,
                        int64_t ldo)
{
    for (int i = 0; i < n_panels; i++) {
        const float *from = sums + (size_t)(i / TILE_PANELS) * ROUND_TOKENS * TILE_ROWS + i % TILE_PANELS * OXI_PANEL;
        for (int t = 0; t < n_tokens; t++)
            memcpy(out + (t0 + t) * ldo + (p0 + i) * OXI_PANEL, from + (size_t)t * TILE_ROWS,
                   (size_t)rows_of(m, p0 + i) * sizeof(float));
    }
}

INLINE void tiled(oxi_pack pack, const oxi_matrix *m, int64_t p0, int64_t p1, const oxi_act_record *act, int64_t n_tokens,
                  float *out, int64_t ldo, round_scratch *r)
{
    for (int64_t p = p0; p < p1; p += ROUND_PANELS) {
        const int n_panels = (int)(p1 - p < ROUND_PANELS ? p1 - p : ROUND_PANELS);
        const int n_tiles = (n_panels + TILE_PANELS - 1) / TILE_PANELS;
        if (n_panels % TILE_PANELS) memset(&r->chunk[n_panels], 0, sizeof r->chunk[0]);
        for (int64_t t0 = 0; t0 < n_tokens; t0 += ROUND_TOKENS) {
            const int n = (int)(n_tokens - t0 < ROUND_TOKENS ? n_tokens - t0 : ROUND_TOKENS);
            for (int i = 0; i < n_tiles; i++) memset(r->sum[i], 0, (size_t)n * sizeof r->sum[i][0]);
            size_t at = 0;
            for (int64_t c = 0; c < oxi_n_chunks(m->n_cols); c++) {
                const int n_groups = oxi_chunk_cols(m->n_cols, c) / OXI_GROUP;
                for (int i = 0; i < n_panels; i++)
                    open_panel_chunk(pack, m->data + (size_t)(p + i) * m->panel_bytes + at, n_groups, &r->chunk[i]);
                tile_tokens(pack, r, n_tiles, act + c * n_tokens + t0, n, n_groups);
                at += oxi_chunk_bytes(pack, n_groups);
            }
            store_round(m, p, n_panels, &r->sum[0][0][0], t0, n, out, ldo);
        }
    }
}

#define DIRECT_CASE(n)                                                                                                 \
    case n:                                                                                                            \
        if (n <= DIRECT_TOKENS) direct(pack, n <= DIRECT_TOKENS ? n : 1, m, p0, p1, act, n_tokens, out, ldo);          \
        return;

INLINE void matmul(oxi_pack pack, const oxi_matrix *m, int64_t p0, int64_t p1, const oxi_act_record *act, int64_t n_tokens,
                   float *out, int64_t ldo, void *scratch)
{
    switch (n_tokens <= DIRECT_TOKENS ? n_tokens : 0) {
        DIRECT_CASE(1) DIRECT_CASE(2) DIRECT_CASE(3) DIRECT_CASE(4)
        DIRECT_CASE(5) DIRECT_CASE(6) DIRECT_CASE(7) DIRECT_CASE(8)
    }
    tiled(pack, m, p0, p1, act, n_tokens, out, ldo, scratch);
}

#define MATMUL(name, pack)                                                                                             \
    static void name(const oxi_matrix *m, int64_t p0, int64_t p1, const void *act, int64_t n_tokens, float *out,       \
                     int64_t ldo, void *scratch)                                                                       \
    {                                                                                                                  \
        matmul(pack, m, p0, p1, act, n_tokens, out, ldo, scratch);                                                     \
    }

MATMUL(matmul_q4_32, OXI_PACK_Q4_32)
MATMUL(matmul_q8_32, OXI_PACK_Q8_32)
MATMUL(matmul_q4_256, OXI_PACK_Q4_256)
MATMUL(matmul_q5_256, OXI_PACK_Q5_256)
MATMUL(matmul_q6_256, OXI_PACK_Q6_256)

#include "vector_float.h"

#define TABLE(row_name, row_needs)                                                                                     \
    {                                                                                                                  \
        .name = row_name, .needs = row_needs, .prepare = OXI_PREPARE_TABLE,                                            \
        .matmul = {[OXI_PACK_F32] = matmul_f32,       [OXI_PACK_F16] = matmul_f16,                                     \
                   [OXI_PACK_BF16] = matmul_bf16,     [OXI_PACK_Q4_32] = matmul_q4_32,                                 \
                   [OXI_PACK_Q8_32] = matmul_q8_32,   [OXI_PACK_Q4_256] = matmul_q4_256,                               \
                   [OXI_PACK_Q5_256] = matmul_q5_256, [OXI_PACK_Q6_256] = matmul_q6_256},                              \
    }
