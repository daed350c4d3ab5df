/* The shapes of kernels: vectors in a tile, tokens at a time, and what a pack needs of its kernel. All of it is known
 * when a kernel is compiled: `pack` is a constant wherever these are inlined. */

#define STRIPS (64 / VB) /* vectors in a panel's register */
#define TILE_VECTORS (TILE_PANELS * STRIPS)
#define TILE_ROWS (TILE_PANELS * OXI_PANEL)
#define MAX_TOKENS 8

#ifndef WIDE_LOOKUP
#define WIDE_LOOKUP 0
#endif

INLINE int group_of(oxi_pack pack) { return oxi_traits[pack].group; }
INLINE oxi_factors factors_of(oxi_pack pack) { return oxi_traits[pack].factors; }
INLINE bool has_table(oxi_pack pack) { return oxi_traits[pack].table; }
/* Each group's activations have their own scale; otherwise scales are summed per chunk, in parts. */
INLINE bool scale_per_group(oxi_pack pack) { return oxi_traits[pack].act == OXI_ACT_Q8_32; }
INLINE bool has_parts(oxi_pack pack) { return !scale_per_group(pack); }
/* Minima: summed as integers over a chunk, or subtracted group by group. */
INLINE bool has_minima(oxi_pack pack) { return factors_of(pack) == OXI_FACTORS_SIX_BIT || factors_of(pack) == OXI_FACTORS_FOUR_BIT; }
INLINE bool has_group_minima(oxi_pack pack) { return factors_of(pack) == OXI_FACTORS_HALF_MIN; }
/* Of minima summed up over a chunk. */
INLINE int pairs_of_minima(oxi_pack pack) { return OXI_CHUNK / group_of(pack) / 2; }
/* A multiplication widens 16-bit sums: by the scale, where that is an integer and code 0 stands for zero. Parts are then
 * 32-bit integers: 256 products of at most 31, 127 and 63, far below 2^31. */
INLINE bool scaled_when_widened(oxi_pack pack) { return !WIDE_SUMS && has_minima(pack); }
/* Parts are integers, which d multiplies in the end. */
INLINE bool has_whole_parts(oxi_pack pack) { return oxi_traits[pack].whole || scaled_when_widened(pack); }

/* Unpacked codes are multiplied by their scales, so a chunk is one sum of integers. Two bits times 4-bit scales are at
 * most 45; three bits times 6-bit ones are -124 to 128, which with the sign changed fits a signed byte. 16-bit sums
 * would overflow. */
INLINE bool scaled_when_unpacked(oxi_pack pack) { return WIDE_SUMS && has_whole_parts(pack); }
INLINE bool multiplied_when_unpacked(oxi_pack pack) { return scaled_when_unpacked(pack) && factors_of(pack) != OXI_FACTORS_FLOAT; }
INLINE bool negated_when_unpacked(oxi_pack pack) { return multiplied_when_unpacked(pack) && oxi_traits[pack].zero_shift >= 0; }

/* The pack whose kernel multiplies an unpacked chunk. Many packs share one; unpacking moves their codes to its form. */
INLINE oxi_pack unpacked_as(oxi_pack pack)
{
    if (has_group_minima(pack)) return OXI_PACK_Q5_32_MIN;
    if (scaled_when_unpacked(pack)) return has_minima(pack) ? pack : OXI_PACK_Q8_256;
    if (has_parts(pack)) return has_table(pack) && group_of(pack) == 32 ? OXI_PACK_T4_256 : pack;
    return group_of(pack) == 16 ? OXI_PACK_T4_E4M3 : OXI_PACK_Q8_32;
}

/* Bits of the codes that read_codes returns. */
INLINE int bits_of(oxi_pack pack)
{
    return has_table(pack) ? 8 : oxi_traits[pack].bits == 1 ? 2 : oxi_traits[pack].bits;
}

/* Codes are unpacked with the zero of 8-bit codes, unless 16-bit sums need small codes. A sum then starts from what the
 * activations' record holds, or from nothing. */
INLINE bool moved_when_unpacked(oxi_pack pack)
{
    if (oxi_traits[pack].zero_shift < 0 || has_table(pack) || oxi_traits[pack].bits == 8) return false;
    return WIDE_SUMS || unpacked_as(pack) != pack;
}

/* The power of two that stands for zero in codes as they are multiplied; minus 1: code 0 does. A pack whose unpacked codes
 * are another pack's gets that pack's answer. */
INLINE int zero_shift_of(oxi_pack pack, bool unpacked)
{
    const int shift = oxi_traits[pack].zero_shift;
    const bool wide = bits_of(pack) == 8 || (unpacked && moved_when_unpacked(pack));
    if (shift < 0 || (SIGNED_BYTES && wide)) return -1;
    return wide ? OXI_ACT_ZERO_SHIFT : shift;
}

/* How many dot4 a 16-bit sum can take when each adds two products: 8 * 2 * 15 * 127, 4 * 2 * 31 * 127, 2 * 2 * 63 * 127
 * and 2 * 128 * 127 are all below 2^15, and so is 2 * 2 * 43 * 127: the tables of 3-bit codes reach 43. */
INLINE int dots_per_widen(oxi_pack pack)
{
    const int bits = bits_of(pack);
    if (bits == 8) return oxi_traits[pack].bits == 3 ? 2 : 1;
    return bits == 6 ? 2 : bits == 5 ? 4 : 8;
}

/* Rows of one panel that exist. */
static int rows_of(const oxi_matrix *m, int64_t panel)
{
    const int64_t left = m->n_rows - panel * OXI_PANEL;
    return (int)(left < OXI_PANEL ? left : OXI_PANEL);
}

/* Store a panel's results for one token, without its padding rows. */
INLINE void store_panel(float *out, const float *rows, int n_rows)
{
    if (n_rows == OXI_PANEL) memcpy(out, rows, OXI_PANEL * sizeof(float)); /* a size that the compiler knows: no call */
    else memcpy(out, rows, (size_t)n_rows * sizeof(float));
}

#ifndef TILE_TOKENS_SCALED
#define TILE_TOKENS_SCALED TILE_TOKENS
#endif

_Static_assert(TILE_TOKENS % 2 == 0 && TILE_TOKENS <= MAX_TOKENS && TILE_TOKENS_256 % 2 == 0 && TILE_TOKENS_256 <= MAX_TOKENS &&
                   TILE_TOKENS_SCALED % 2 == 0 && TILE_TOKENS_SCALED <= MAX_TOKENS,
               "tiles have kernels");
#ifndef GEMV_KERNELS
_Static_assert(GEMV_TOKENS <= MAX_TOKENS && (TILE_PANELS == 1 || GEMV_PAIRS < GEMV_TOKENS),
               "what is left over has a kernel");
#endif

/* Kernels exist for some numbers of tokens. For other numbers they compute a few more tokens, from records behind the
 * last one (or in the padding), and drop the results. */
INLINE int kernel_tokens(int n, int most)
{
    const int up = n < 3 ? n : (n + 1) & ~1;
    return up < most ? up : most;
}

INLINE int tile_tokens(oxi_pack pack)
{
    return scaled_when_unpacked(pack) ? TILE_TOKENS_SCALED : has_parts(pack) ? TILE_TOKENS_256 : TILE_TOKENS;
}

/* Tokens to take at a time, at most `most`. With a limit of 6, 8 tokens go better as four and four than as six and two. */
INLINE int even_share(int n, int most)
{
    const int times = (n + most - 1) / most;
    return kernel_tokens((n + times - 1) / times, most);
}
