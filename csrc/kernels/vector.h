/* The body of a vector row: everything but the dozen operations that differ between instruction sets.
 *
 * An instruction-set file defines
 *     VB             bytes of a vector register: 16, 32 or 64
 *     TILE_PANELS    panels a tile of the many-token kernel covers
 *     TILE_TOKENS    tokens it covers: 2, 4, 6 or 8, for formats of 32 columns and floats
 *     TILE_TOKENS_256    and for formats of 256, which keep another sum for each
 *     DIRECT_TOKENS, DIRECT_TOKENS_256  the same where weights go from memory straight to the multiplier
 *     DIRECT_LIMIT   up to how many tokens that is done
 *     DIRECT_PAIRS   from how many tokens on it takes TILE_PANELS panels at a time
 *     SIGNED_BYTES   1: 8-bit codes are multiplied as signed bytes (zero point 0), 0: as unsigned ones (zero point 128)
 *     WIDE_SUMS      1: `dot4` adds to 32-bit sums, 0: to 16-bit ones that `widen` must empty every so often
 * and, on the types below,
 *     v_i32 dot4(v_i32 sum, v_u8 w, v_i32 x, int bits)   4 products per lane; w below 1 << bits, x -127..127
 *     v_i32 widen(v_i32 sum, v_i32 narrow)               sum + narrow's pairs
 *     v_i32 dot2(v_i32 sum, v_i16 a, v_i16 b)            2 products per lane
 *     v_f32 multiply_add(v_f32 a, v_f32 b, v_f32 c)               a * b + c, rounded once
 *     v_f32 load_half(const uint8_t *p)                  LANES halves
 *     v_i32 widen_u8(v_lanes v), widen_i8(v_lanes v)     a byte per lane
 *     v_i16 widen_pairs(v_half v)                        two unsigned bytes per lane
 *     v_u8 lookup(v_u8 table, v_u8 index)                table repeats 16 bytes, index is below 16
 * then includes this file and fills a table with TABLE(name, needs).
 */
#include "layout.h"
#include "prepare.h"
#include "rows.h"

#include <string.h>

#define STRIPS (64 / VB) /* vectors in a panel's register */
#define TILE_VECTORS (TILE_PANELS * STRIPS)
#define TILE_ROWS (TILE_PANELS * OXI_PANEL)
#define INLINE static inline __attribute__((always_inline))
#define MAX_TOKENS 8
#define UNROLL _Pragma("GCC unroll 16")

INLINE v_u8 load_u8(const void *p)
{
    v_u8 v;
    memcpy(&v, p, VB);
    return v;
}

INLINE v_lanes load_lanes(const void *p)
{
    v_lanes v;
    memcpy(&v, p, LANES);
    return v;
}

INLINE v_half load_halves(const void *p)
{
    v_half v;
    memcpy(&v, p, VB / 2);
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

/* ------------------------------------------------------------------------------------------- what a format looks like */

INLINE int group_of(oxi_pack pack) { return oxi_traits[pack].group; }
INLINE oxi_tail tail_of(oxi_pack pack) { return oxi_traits[pack].tail; }
INLINE bool has_table(oxi_pack pack) { return oxi_traits[pack].table; }
/* Each group's activations have a scale of their own; else scales are summed up per chunk in parts. */
INLINE bool scale_per_group(oxi_pack pack) { return oxi_traits[pack].act == OXI_ACT_Q8_32; }
INLINE bool has_parts(oxi_pack pack) { return !scale_per_group(pack); }
/* Minima: summed up as integers over a chunk, or subtracted group by group. */
INLINE bool has_minima(oxi_pack pack) { return tail_of(pack) == OXI_TAIL_SIX_BIT; }
INLINE bool has_group_minima(oxi_pack pack)
{
    return tail_of(pack) == OXI_TAIL_HALF_MIN || tail_of(pack) == OXI_TAIL_FOUR_BIT;
}

/* The pack whose kernel multiplies an opened chunk. Many share one, to which their codes are moved when opened. */
INLINE oxi_pack opened_as(oxi_pack pack)
{
    if (has_parts(pack) || pack == OXI_PACK_Q4_32) return pack;
    if (has_group_minima(pack)) return group_of(pack) == 16 ? OXI_PACK_Q2_256_16 : OXI_PACK_Q5_32_MIN;
    return group_of(pack) == 16 ? OXI_PACK_T3_256_16 : OXI_PACK_Q8_32;
}

/* Bits of what read_codes gives. */
INLINE int bits_of(oxi_pack pack)
{
    return has_table(pack) ? 8 : oxi_traits[pack].bits == 1 ? 2 : oxi_traits[pack].bits;
}

/* How many dot4 a 16-bit sum takes when each adds two products: 8 * 2 * 15 * 127, 4 * 2 * 31 * 127, 2 * 2 * 63 * 127 and
 * 2 * 128 * 127 are all below 2^15. */
INLINE int dots_per_widen(oxi_pack pack)
{
    const int bits = bits_of(pack);
    return bits == 8 ? 1 : bits == 6 ? 2 : bits == 5 ? 4 : 8;
}

/* What all chunks of a matrix share. */
typedef struct constants {
    v_u8 table; /* as read_codes gives its values */
    v_f32 unit;
} constants;

INLINE constants constants_of(oxi_pack pack, const oxi_matrix *m)
{
    constants k = {.unit = every_f32(m->unit)};
    if (!has_table(pack)) return k;
    int8_t table[VB];
    for (int i = 0; i < VB; i++) table[i] = m->table[i % 16];
    k.table = SIGNED_BYTES ? load_u8(table) : load_u8(table) ^ 0x80;
    return k;
}

/* Code register i's bits in a plane of 1 or 2 bits, moved up by `to`. */
INLINE v_u8 read_plane(int bits, const uint8_t *plane, int i, int to)
{
    const v_u16 h = (v_u16)load_u8(plane + 64 * (i * bits / 8));
    const int from = i * bits % 8, mask = ((1 << bits) - 1) << to;
    return (v_u8)(from < to ? h << (to - from) : h >> (from - to)) & (uint8_t)mask;
}

/* Code register i of a group (layout.h), one strip of its lanes. */
INLINE v_u8 read_codes(oxi_pack pack, const constants *k, const uint8_t *group, int strip, int i)
{
    const uint8_t *p = group + VB * strip;
    const int bits = oxi_traits[pack].bits;
    v_u8 code;
    if (bits == 8) return SIGNED_BYTES ? load_u8(p + 64 * i) ^ 0x80 : load_u8(p + 64 * i);
    if (bits == 1) return read_plane(1, p, i, 1);
    if (bits < 4) {
        code = read_plane(2, p, i, 0);
        if (bits == 3) code |= read_plane(1, p + 128, i, 2);
    } else {
        const v_u8 n = load_u8(p + 64 * (i % 4));
        code = i < 4 ? n & 0x0f : (v_u8)((v_u16)n >> 4) & 0x0f;
        if (bits > 4) code |= read_plane(bits - 4, p + 256, i, 4);
    }
    return has_table(pack) ? lookup(k->table, code) : code;
}

/* What to add to codes so that zero is where the pack that multiplies them opened has it. */
INLINE int opening_shift(oxi_pack pack)
{
    const int shift = oxi_traits[pack].zero_shift;
    if (opened_as(pack) == pack || has_group_minima(pack) || has_table(pack) || oxi_traits[pack].bits == 8) return 0;
    return (SIGNED_BYTES ? 0 : 128) - (1 << shift);
}

/* The scale of all scale groups, 1 where each has a whole scale of its own. */
INLINE v_f32 read_d(oxi_pack pack, const constants *k, const uint8_t *tail, int strip)
{
    const int at = 2 * LANES * strip;
    if (tail_of(pack) == OXI_TAIL_SIX_BIT) return load_half(tail + OXI_SIX_D + at);
    if (tail_of(pack) == OXI_TAIL_FOUR_BIT) return load_half(tail + OXI_FOUR_D + at);
    if (tail_of(pack) == OXI_TAIL_FLOAT) return load_f32(tail + 2 * at);
    if (tail_of(pack) != OXI_TAIL_INT8) return every_f32(1.0f);
    const v_f32 d = load_half(tail + oxi_int8_d(pack) + at);
    return has_table(pack) ? d * k->unit : d;
}

/* Powers of two from their E8M0 bytes, halved; the two smallest are subnormal. */
INLINE v_f32 power_of_two(v_i32 e)
{
    const v_i32 small = e < 2;
    return (v_f32)((((e - 1) << 23) & ~small) | (((e + 1) << 21) & small));
}

INLINE v_f32 read_scale(oxi_pack pack, const uint8_t *tail, int group, int strip, v_f32 d)
{
    const int at = OXI_PANEL * group + LANES * strip;
    switch (tail_of(pack)) {
    case OXI_TAIL_HALF: return load_half(tail + 2 * (OXI_PANEL * (group * OXI_GROUP / oxi_traits[pack].span) + LANES * strip));
    case OXI_TAIL_HALF_MIN: return load_half(tail + 64 * group + 2 * LANES * strip);
    case OXI_TAIL_E8M0: return power_of_two(widen_u8(load_lanes(tail + at)));
    case OXI_TAIL_E4M3: return (v_f32)(widen_u8(load_lanes(tail + at)) << 20) * every_f32(0x1p119f);
    case OXI_TAIL_INT8: return d * to_float(widen_i8(load_lanes(tail + at)));
    case OXI_TAIL_FOUR_BIT: return d * to_float(widen_u8(load_lanes(tail + at) & 0x0f));
    case OXI_TAIL_FLOAT: return d;
    case OXI_TAIL_SIX_BIT: break;
    }
    const v_lanes low = load_lanes(tail + at), high = load_lanes(tail + OXI_SIX_HIGH + at % 64);
    const v_lanes shifted = group < 4 ? (v_lanes)((v_lanes_u16)high << 4) : high;
    return d * to_float(widen_u8((low & 0x0f) | (shifted & 0x30)));
}

/* 6-bit minima of a pair of groups, side by side for each row. */
INLINE v_i16 read_minima(const uint8_t *tail, int pair, int strip)
{
    const int at = 2 * OXI_PANEL * pair + VB / 2 * strip;
    const v_half low = load_halves(tail + at), high = load_halves(tail + OXI_SIX_HIGH + at % 64);
    const v_half shifted = (v_half)(pair < 2 ? (v_half_u16)high << 2 : (v_half_u16)high >> 2);
    return widen_pairs(((v_half)((v_half_u16)low >> 4) & 0x0f) | (shifted & 0x30));
}

/* What is subtracted group by group. */
INLINE v_f32 read_minimum(oxi_pack pack, const uint8_t *tail, int group, int strip)
{
    if (tail_of(pack) == OXI_TAIL_HALF_MIN) return load_half(tail + 64 * group + 32 + 2 * LANES * strip);
    const v_lanes both = load_lanes(tail + OXI_PANEL * group + LANES * strip);
    return load_half(tail + OXI_FOUR_DMIN + 2 * LANES * strip) * to_float(widen_u8((v_lanes)((v_lanes_u16)both >> 4) & 0x0f));
}

/* A chunk of one panel: packed as it lies in memory, or opened for many tokens. */
typedef struct open_chunk {
    uint8_t code[OXI_CHUNK / 4][64];
    float scale[OXI_CHUNK / 16][OXI_PANEL]; /* per scale group */
    union {
        float least[OXI_CHUNK / 16][OXI_PANEL]; /* per scale group */
        struct {
            int16_t minimum[4][2 * OXI_PANEL]; /* [pair of groups][row][group % 2] */
            float dmin[OXI_PANEL];
        };
    };
} open_chunk;

typedef struct chunk {
    const uint8_t *packed, *tail;
    const uint8_t *ahead;   /* what to ask memory for while this chunk is read */
    const open_chunk *open; /* NULL: read the others */
} chunk;

/* Far enough that memory answers in time, near enough to stay in the first two caches. */
#define AHEAD 8192

INLINE void fetch(const uint8_t *p, size_t bytes)
{
    UNROLL for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(p + at);
}

/* The place AHEAD of byte `at` of a panel, when `together` panels are read side by side and the next ones follow them. */
INLINE const uint8_t *ahead_of(const oxi_matrix *m, const uint8_t *panel, size_t at, int together)
{
    const uint8_t *ahead = panel + at + AHEAD;
    return at + AHEAD < m->panel_bytes ? ahead : ahead + (size_t)(together - 1) * m->panel_bytes;
}

/* Minus the activations' sum over a scale group. */
INLINE const int32_t *negsum_of(oxi_pack pack, const oxi_act_record *x, int group)
{
    return group_of(pack) == 32 ? &x->negsum32[group] : &x->negsum[group];
}

/* What a scale group's integer sum starts from: minus the zero point times the activations' sum. */
INLINE v_i32 start_of(oxi_pack pack, const oxi_act_record *x, int group)
{
    const int shift = SIGNED_BYTES && bits_of(pack) == 8 ? -1 : oxi_traits[pack].zero_shift;
    return shift < 0 ? (v_i32){0} : every_lane(negsum_of(pack, x, group)) << shift;
}

/* dot[v][t] += the products of code registers [first, first + n) of a group; v runs over the strips of the panels. */
INLINE void dot_codes(oxi_pack pack, const constants *k, bool open, int vectors, int tokens, const chunk *w, const oxi_act_record *x, int group,
                      int first, int n, v_i32 dot[TILE_VECTORS][MAX_TOKENS])
{
    const size_t at = (size_t)group * oxi_group_bytes(pack);
    const int step = WIDE_SUMS || dots_per_widen(pack) > n ? n : dots_per_widen(pack);
    UNROLL for (int i0 = first; i0 < first + n; i0 += step) {
        v_i32 sum[TILE_VECTORS][MAX_TOKENS];
        UNROLL for (int v = 0; v < vectors; v++)
            UNROLL for (int t = 0; t < tokens; t++) sum[v][t] = WIDE_SUMS ? dot[v][t] : (v_i32){0};
        UNROLL for (int i = i0; i < i0 + step; i++) {
            v_u8 c[TILE_VECTORS];
            UNROLL for (int v = 0; v < vectors; v++)
                c[v] = open ? load_u8(w[v / STRIPS].open->code[8 * group + i] + VB * (v % STRIPS))
                            : read_codes(pack, k, w[v / STRIPS].packed + at, v % STRIPS, i);
            UNROLL for (int t = 0; t < tokens; t++) {
                const v_i32 xt = every_lane(x[t].q + OXI_GROUP * group + 4 * i);
                UNROLL for (int v = 0; v < vectors; v++) sum[v][t] = dot4(sum[v][t], c[v], xt, bits_of(pack));
            }
        }
        UNROLL for (int v = 0; v < vectors; v++)
            UNROLL for (int t = 0; t < tokens; t++) dot[v][t] = WIDE_SUMS ? sum[v][t] : widen(dot[v][t], sum[v][t]);
    }
}

/* One group of 32 columns into `sum`: the result itself where groups have whole scales, else the chunk's part. */
INLINE void add_group(oxi_pack pack, const constants *constant, bool open, int vectors, int tokens, const chunk *w, const oxi_act_record *x, int group,
                      const v_f32 d[TILE_VECTORS], v_f32 sum[TILE_VECTORS][MAX_TOKENS])
{
    const int per = OXI_GROUP / group_of(pack), n = 8 / per;
    UNROLL for (int k = 0; k < per; k++) {
        const int sg = group * per + k; /* scale group */
        v_i32 dot[TILE_VECTORS][MAX_TOKENS];
        UNROLL for (int t = 0; t < tokens; t++) {
            const v_i32 start = start_of(pack, x + t, sg);
            UNROLL for (int v = 0; v < vectors; v++) dot[v][t] = start;
        }
        dot_codes(pack, constant, open, vectors, tokens, w, x, group, n * k, n, dot);
        UNROLL for (int v = 0; v < vectors; v++) {
            const v_f32 scale = open ? load_f32(w[v / STRIPS].open->scale[sg] + LANES * (v % STRIPS))
                                     : read_scale(pack, w[v / STRIPS].tail, sg, v % STRIPS, d[v]);
            UNROLL for (int t = 0; t < tokens; t++) {
                const v_f32 both = scale_per_group(pack) ? scale * every_f32(x[t].d[group]) : scale;
                sum[v][t] = multiply_add(to_float(dot[v][t]), both, sum[v][t]);
            }
            if (!has_group_minima(pack)) continue;
            const v_f32 least = open ? load_f32(w[v / STRIPS].open->least[sg] + LANES * (v % STRIPS))
                                     : read_minimum(pack, w[v / STRIPS].tail, sg, v % STRIPS);
            UNROLL for (int t = 0; t < tokens; t++)
                sum[v][t] = multiply_add(least, every_f32((float)*negsum_of(pack, x + t, sg) * x[t].d[group]), sum[v][t]);
        }
    }
}

/* The chunk's end for formats of 256: sum + part * d - minima * (dmin * d). */
INLINE void close_chunk(oxi_pack pack, bool open, int vectors, int tokens, const chunk *w, const oxi_act_record *x,
                        const v_f32 part[TILE_VECTORS][MAX_TOKENS], v_f32 sum[TILE_VECTORS][MAX_TOKENS])
{
    UNROLL for (int v = 0; v < vectors; v++) {
        const chunk *from = w + v / STRIPS;
        const int strip = v % STRIPS;
        v_i16 minima[4];
        v_f32 dmin = {0};
        if (has_minima(pack)) {
            UNROLL for (int p = 0; p < 4; p++)
                minima[p] = open ? (v_i16)load_u8(from->open->minimum[p] + 2 * LANES * strip)
                                 : read_minima(from->tail, p, strip);
            dmin = open ? load_f32(from->open->dmin + LANES * strip)
                        : load_half(from->tail + OXI_SIX_DMIN + 2 * LANES * strip);
        }
        UNROLL for (int t = 0; t < tokens; t++) {
            const v_f32 d = every_f32(x[t].d[0]);
            sum[v][t] = multiply_add(part[v][t], d, sum[v][t]);
            if (!has_minima(pack)) continue;
            v_i32 dot = {0};
            UNROLL for (int p = 0; p < 4; p++) dot = dot2(dot, minima[p], (v_i16)every_lane(x[t].sum + 2 * p));
            sum[v][t] = multiply_add(to_float(dot), -(dmin * d), sum[v][t]);
        }
    }
}

/* sum += a chunk of `vectors` strips of rows times `tokens` records. */
INLINE void add_chunk(oxi_pack pack, const constants *k, bool open, int vectors, int tokens, const chunk *w, const oxi_act_record *x, int n_groups,
                      v_f32 sum[TILE_VECTORS][MAX_TOKENS])
{
    const size_t group_bytes = oxi_group_bytes(pack);
    v_f32 d[TILE_VECTORS], part[TILE_VECTORS][MAX_TOKENS];
    UNROLL for (int v = 0; v < vectors; v++) {
        d[v] = open ? (v_f32){0} : read_d(pack, k, w[v / STRIPS].tail, v % STRIPS);
        UNROLL for (int t = 0; t < tokens; t++) part[v][t] = (v_f32){0};
    }
    for (int g = 0; g < n_groups; g++) {
        if (!open)
            UNROLL for (int i = 0; i < vectors / STRIPS; i++)
                fetch(w[i].ahead + (size_t)g * group_bytes, group_bytes);
        add_group(pack, k, open, vectors, tokens, w, x, g, d, scale_per_group(pack) ? sum : part);
    }
    if (!open)
        UNROLL for (int i = 0; i < vectors / STRIPS; i++) 
                fetch(w[i].ahead + (size_t)n_groups * group_bytes, oxi_tail_bytes(pack, OXI_CHUNK_GROUPS));
    if (!scale_per_group(pack)) close_chunk(pack, open, vectors, tokens, w, x, part, sum);
}

/* Rows of one panel that exist. */
static int rows_of(const oxi_matrix *m, int64_t panel)
{
    const int64_t left = m->n_rows - panel * OXI_PANEL;
    return (int)(left < OXI_PANEL ? left : OXI_PANEL);
}

/* ---------------------------------------------------------------------------- few tokens: one pass over the weights */

/* Panels [p, p + n_panels), n_panels <= panels, times records x[0 .. n_tokens), n_tokens <= tokens. */
INLINE void direct(oxi_pack pack, int panels, int tokens, const oxi_matrix *m, int64_t p, int n_panels,
                   const oxi_act_record *x, int64_t stride, int n_tokens, float *out, int64_t ldo)
{
    v_f32 sum[TILE_VECTORS][MAX_TOKENS];
    UNROLL for (int v = 0; v < panels * STRIPS; v++)
        UNROLL for (int t = 0; t < tokens; t++) sum[v][t] = (v_f32){0};
    const uint8_t *const first = m->data + (size_t)p * m->panel_bytes;
    const constants k = constants_of(pack, m);
    size_t at = 0;
    for (int64_t cols = m->n_cols; cols > 0; cols -= OXI_CHUNK, x += stride) {
        const int n_groups = cols < OXI_CHUNK ? (int)cols / OXI_GROUP : OXI_CHUNK_GROUPS;
        chunk w[TILE_PANELS];
        UNROLL for (int i = 0; i < panels; i++) {
            /* A panel that is not there is the first one again. */
            const uint8_t *panel = first + (i < n_panels ? (size_t)i * m->panel_bytes : 0);
            w[i] = (chunk){.packed = panel + at,
                           .tail = panel + at + (size_t)n_groups * oxi_group_bytes(pack),
                           .ahead = ahead_of(m, panel, at, panels)};
        }
        add_chunk(pack, &k, false, panels * STRIPS, tokens, w, x, n_groups, sum);
        at += oxi_chunk_bytes(pack, n_groups);
    }
    float rows[MAX_TOKENS][TILE_ROWS];
    UNROLL for (int v = 0; v < panels * STRIPS; v++)
        UNROLL for (int t = 0; t < tokens; t++) store_f32(rows[t] + LANES * v, sum[v][t]);
    for (int i = 0; i < n_panels; i++)
        for (int t = 0; t < n_tokens; t++)
            memcpy(out + t * ldo + (p + i) * OXI_PANEL, rows[t] + OXI_PANEL * i, (size_t)rows_of(m, p + i) * sizeof(float));
}

_Static_assert(TILE_TOKENS % 2 == 0 && TILE_TOKENS <= MAX_TOKENS && TILE_TOKENS_256 % 2 == 0 && TILE_TOKENS_256 <= MAX_TOKENS,
               "tiles have kernels");
_Static_assert(DIRECT_TOKENS <= MAX_TOKENS && DIRECT_TOKENS_256 <= MAX_TOKENS &&
                   (TILE_PANELS == 1 || ((DIRECT_PAIRS + 1) / 2 * 2 <= DIRECT_TOKENS_256 &&
                                         (DIRECT_PAIRS + 1) / 2 * 2 <= DIRECT_TOKENS)),
               "what is left over has a kernel");

/* Kernels exist for some numbers of tokens. Others compute a few more, of records that lie behind the last (or in the
 * padding), and drop them. */
INLINE int kernel_tokens(int n, int most)
{
    const int up = n < 3 ? n : (n + 1) & ~1;
    return up < most ? up : most;
}

/* The two packs of the commonest files have kernels for more tokens; the others are content with fewer, which is less to
 * compile. */
INLINE bool is_common(oxi_pack pack) { return pack == OXI_PACK_Q4_32 || pack == OXI_PACK_Q8_32; }
INLINE int direct_tokens(oxi_pack pack) { return is_common(pack) ? DIRECT_TOKENS : DIRECT_TOKENS_256; }
INLINE int tile_tokens(oxi_pack pack) { return has_parts(pack) ? TILE_TOKENS_256 : TILE_TOKENS; }

/* Tokens to take at a time, at most `most`: 8 of at most 6 are better two fours than a six and a two. */
INLINE int even_share(int n, int most)
{
    const int times = (n + most - 1) / most;
    return kernel_tokens((n + times - 1) / times, most);
}

#define DIRECT_CASE(n)                                                                                                 \
    case n:                                                                                                            \
        if (n <= direct_tokens(pack))                                                                                  \
            direct(pack, n < DIRECT_PAIRS ? 1 : TILE_PANELS, n <= direct_tokens(pack) ? n : 1, m, p, n_panels, xt,     \
                   n_tokens, n_left, ot, ldo);                                                                         \
        break;

INLINE void direct_panels(oxi_pack pack, const oxi_matrix *m, int64_t p0, int64_t p1, const oxi_act_record *x, int n_tokens,
                          float *out, int64_t ldo)
{
    const int together = n_tokens < DIRECT_PAIRS ? 1 : TILE_PANELS, share = even_share(n_tokens, direct_tokens(pack));
    for (int64_t p = p0; p < p1; p += together) {
        const int n_panels = (int)(p1 - p < together ? p1 - p : together);
        for (int t = 0; t < n_tokens; t += share) {
            const oxi_act_record *xt = x + t;
            float *ot = out + t * ldo;
            const int n_left = n_tokens - t < share ? n_tokens - t : share;
            const int n = kernel_tokens(n_left, share);
            /* One or two tokens left over of many run in the smallest kernel for TILE_PANELS. */
            switch (n_tokens >= DIRECT_PAIRS && n < DIRECT_PAIRS ? (DIRECT_PAIRS + 1) & ~1 : n) {
                DIRECT_CASE(1) DIRECT_CASE(2) DIRECT_CASE(4) DIRECT_CASE(6) DIRECT_CASE(8)
            }
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
    open_chunk open[ROUND_PANELS];
    float sum[ROUND_TILES][ROUND_TOKENS + MAX_TOKENS][TILE_ROWS];
} round_scratch;

_Static_assert(sizeof(round_scratch) <= OXI_MATMUL_SCRATCH, "a round fits the scratch");

INLINE void open_panel(oxi_pack pack, const constants *k, const uint8_t *src, const uint8_t *ahead, int n_groups, open_chunk *out)
{
    const size_t group_bytes = oxi_group_bytes(pack);
    const uint8_t *tail = src + (size_t)n_groups * group_bytes;
    for (int g = 0; g < n_groups; g++) {
        fetch(ahead + (size_t)g * group_bytes, group_bytes);
        UNROLL for (int i = 0; i < 8; i++) UNROLL for (int v = 0; v < STRIPS; v++) {
            const v_u8 c = read_codes(pack, k, src + (size_t)g * group_bytes, v, i) + (uint8_t)opening_shift(pack);
            memcpy(out->code[8 * g + i] + VB * v, &c, VB);
        }
    }
    fetch(ahead + (size_t)n_groups * group_bytes, oxi_tail_bytes(pack, OXI_CHUNK_GROUPS));
    UNROLL for (int v = 0; v < STRIPS; v++) {
        const v_f32 d = read_d(pack, k, tail, v);
        for (int g = 0; g < n_groups * OXI_GROUP / group_of(pack); g++)
            store_f32(out->scale[g] + LANES * v, read_scale(pack, tail, g, v, d));
        if (has_group_minima(pack))
            for (int g = 0; g < n_groups * OXI_GROUP / group_of(pack); g++)
                store_f32(out->least[g] + LANES * v, read_minimum(pack, tail, g, v));
        if (!has_minima(pack)) continue;
        UNROLL for (int p = 0; p < 4; p++) {
            const v_i16 m = read_minima(tail, p, v);
            memcpy(out->minimum[p] + 2 * LANES * v, &m, VB);
        }
        store_f32(out->dmin + LANES * v, load_half(tail + OXI_SIX_DMIN + 2 * LANES * v));
    }
}

INLINE void tile(oxi_pack pack, int tokens, const open_chunk *open, const oxi_act_record *x, int n_groups,
                 float sums[][TILE_ROWS])
{
    chunk w[TILE_PANELS];
    UNROLL for (int i = 0; i < TILE_PANELS; i++) w[i] = (chunk){.open = open + i};
    v_f32 sum[TILE_VECTORS][MAX_TOKENS];
    UNROLL for (int v = 0; v < TILE_VECTORS; v++)
        UNROLL for (int t = 0; t < tokens; t++) sum[v][t] = load_f32(sums[t] + LANES * v);
    add_chunk(pack, NULL, true, TILE_VECTORS, tokens, w, x, n_groups, sum);
    UNROLL for (int v = 0; v < TILE_VECTORS; v++)
        UNROLL for (int t = 0; t < tokens; t++) store_f32(sums[t] + LANES * v, sum[v][t]);
}

#define TILE_CASE(n)                                                                                                   \
    case n:                                                                                                            \
        if (n <= tile_tokens(pack)) tile(pack, n <= tile_tokens(pack) ? n : 2, w, x, n_groups, sums);                  \
        break;

/* One chunk times all tokens of a round. */
INLINE void tile_chunk(oxi_pack pack, round_scratch *r, int n_tiles, const oxi_act_record *x0, int n_tokens, int n_groups)
{
    for (int t0 = 0; t0 < n_tokens; t0 += tile_tokens(pack)) {
        const int n = n_tokens - t0 < tile_tokens(pack) ? n_tokens - t0 : tile_tokens(pack);
        for (int i = 0; i < n_tiles; i++) {
            const open_chunk *w = r->open + i * TILE_PANELS;
            const oxi_act_record *x = x0 + t0;
            float(*sums)[TILE_ROWS] = r->sum[i] + t0;
            switch (kernel_tokens(n + n % 2, tile_tokens(pack))) {
                TILE_CASE(2) TILE_CASE(4) TILE_CASE(6) TILE_CASE(8)
            }
        }
    }
}

#define TILED(pack)                                                                                                    \
    static __attribute__((noinline)) void tile_chunk_##pack(round_scratch *r, int n_tiles, const oxi_act_record *x0,   \
                                                            int n_tokens, int n_groups)                                \
    {                                                                                                                  \
        tile_chunk(OXI_PACK_##pack, r, n_tiles, x0, n_tokens, n_groups);                                               \
    }

TILED(Q4_32)
TILED(Q8_32)
TILED(Q4_256)
TILED(Q5_256)
TILED(Q6_256)
TILED(Q5_32_MIN)
TILED(Q2_256_16)
TILED(T3_256_16)

INLINE void tile_opened(oxi_pack pack, round_scratch *r, int n_tiles, const oxi_act_record *x0, int n_tokens, int n_groups)
{
    switch (opened_as(pack)) {
    case OXI_PACK_Q4_32: tile_chunk_Q4_32(r, n_tiles, x0, n_tokens, n_groups); break;
    case OXI_PACK_Q8_32: tile_chunk_Q8_32(r, n_tiles, x0, n_tokens, n_groups); break;
    case OXI_PACK_Q4_256: tile_chunk_Q4_256(r, n_tiles, x0, n_tokens, n_groups); break;
    case OXI_PACK_Q5_256: tile_chunk_Q5_256(r, n_tiles, x0, n_tokens, n_groups); break;
    case OXI_PACK_Q6_256: tile_chunk_Q6_256(r, n_tiles, x0, n_tokens, n_groups); break;
    case OXI_PACK_Q5_32_MIN: tile_chunk_Q5_32_MIN(r, n_tiles, x0, n_tokens, n_groups); break;
    case OXI_PACK_Q2_256_16: tile_chunk_Q2_256_16(r, n_tiles, x0, n_tokens, n_groups); break;
    default: tile_chunk_T3_256_16(r, n_tiles, x0, n_tokens, n_groups); break;
    }
}

static void store_round(const oxi_matrix *m, int64_t p0, int n_panels, const float *sums, int64_t t0, int n_tokens, float *out,
                        int64_t ldo)
{
    for (int i = 0; i < n_panels; i++) {
        const float *from = sums + (size_t)(i / TILE_PANELS) * (ROUND_TOKENS + MAX_TOKENS) * TILE_ROWS + i % TILE_PANELS * OXI_PANEL;
        for (int t = 0; t < n_tokens; t++)
            memcpy(out + (t0 + t) * ldo + (p0 + i) * OXI_PANEL, from + (size_t)t * TILE_ROWS,
                   (size_t)rows_of(m, p0 + i) * sizeof(float));
    }
}

INLINE void tiled(oxi_pack pack, const oxi_matrix *m, int64_t p0, int64_t p1, const oxi_act_record *act, int64_t n_tokens,
                  float *out, int64_t ldo, round_scratch *r)
{
    const constants k = constants_of(pack, m);
    for (int64_t p = p0; p < p1; p += ROUND_PANELS) {
        const int n_panels = (int)(p1 - p < ROUND_PANELS ? p1 - p : ROUND_PANELS);
        const int n_tiles = (n_panels + TILE_PANELS - 1) / TILE_PANELS;
        if (n_panels % TILE_PANELS) memset(&r->open[n_panels], 0, sizeof r->open[0]);
        for (int64_t t0 = 0; t0 < n_tokens; t0 += ROUND_TOKENS) {
            const int n = (int)(n_tokens - t0 < ROUND_TOKENS ? n_tokens - t0 : ROUND_TOKENS);
            for (int i = 0; i < n_tiles; i++) memset(r->sum[i], 0, (size_t)n * sizeof r->sum[i][0]);
            size_t at = 0;
            for (int64_t c = 0; c < oxi_n_chunks(m->n_cols); c++) {
                const int n_groups = oxi_chunk_cols(m->n_cols, c) / OXI_GROUP;
                for (int i = 0; i < n_panels; i++) {
                    const uint8_t *panel = m->data + (size_t)(p + i) * m->panel_bytes;
                    open_panel(pack, &k, panel + at, ahead_of(m, panel, at, ROUND_PANELS), n_groups, &r->open[i]);
                }
                tile_opened(pack, r, n_tiles, act + c * n_tokens + t0, n, n_groups);
                at += oxi_chunk_bytes(pack, n_groups);
            }
            store_round(m, p, n_panels, &r->sum[0][0][0], t0, n, out, ldo);
        }
    }
}

INLINE void matmul(oxi_pack pack, const oxi_matrix *m, int64_t p0, int64_t p1, const oxi_act_record *act, int64_t n_tokens,
                   float *out, int64_t ldo, void *scratch)
{
    if (n_tokens <= DIRECT_LIMIT) direct_panels(pack, m, p0, p1, act, (int)n_tokens, out, ldo);
    else tiled(pack, m, p0, p1, act, n_tokens, out, ldo, scratch);
}

#define MATMUL(pack)                                                                                                   \
    static void matmul_##pack(const oxi_matrix *m, int64_t p0, int64_t p1, const void *act, int64_t n_tokens,          \
                              float *out, int64_t ldo, void *scratch)                                                  \
    {                                                                                                                  \
        matmul(OXI_PACK_##pack, m, p0, p1, act, n_tokens, out, ldo, scratch);                                          \
    }

#define QUANTISED(F)                                                                                                   \
    F(Q4_32) F(Q8_32) F(Q4_256) F(Q5_256) F(Q6_256) F(Q5_32) F(Q4_32_MIN) F(Q5_32_MIN) F(T4_32) F(T4_E8M0) F(T4_E4M3)  \
    F(T4_256) F(T3_256) F(T3_256_16) F(Q2_256_16) F(Q2_64) F(Q1_128) F(Q8_256)

QUANTISED(MATMUL)

#include "vector_float.h"
#include "vector_probe.h"

#define ENTRY(pack) [OXI_PACK_##pack] = matmul_##pack,

#define TABLE(row_name, row_needs)                                                                                     \
    {                                                                                                                  \
        .name = row_name, .needs = row_needs, .prepare = OXI_PREPARE_TABLE,                                            \
        .probe_dot = probe_dot, .probe_read = probe_read,                                                              \
        .matmul = {[OXI_PACK_F32] = matmul_f32, [OXI_PACK_F16] = matmul_f16, [OXI_PACK_BF16] = matmul_bf16,            \
                   QUANTISED(ENTRY)},                                                                                  \
    }
