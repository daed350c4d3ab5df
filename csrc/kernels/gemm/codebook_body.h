/* Matrices that keep a codebook's indices (pack/codebook_chunk.h). An isa with WIDE_LOOKUP turns them into codes in
 * registers; others decode each chunk on its way to the kernel of the pack. */

/* One thread's data, at the beginning of its scratch. Panels are read in turns. */
typedef struct codebook_scratch {
    _Alignas(64) uint8_t tables[OXI_CODEBOOK_TABLE_BYTES];
#if WIDE_LOOKUP
    _Alignas(64) uint8_t of_pair[2][64];
    _Alignas(64) uint8_t factors[OXI_MAX_TURNS][(OXI_CHUNK / 16 + 4) * OXI_PANEL];
    _Alignas(64) uint8_t codes[OXI_CHUNK / 4][64]; /* of a chunk, for many tokens */
#else
    _Alignas(64) uint8_t decoded[OXI_MAX_TURNS][OXI_DECODED_BYTES];
#endif
} codebook_scratch;

/* True for packs whose codes can come from a codebook. Tested first, so that other packs have no code for it. */
INLINE bool with_codebook(oxi_pack pack, const oxi_codebook *codebook)
{
    return (pack == OXI_PACK_T3_256 || pack == OXI_PACK_T3_256_16 || pack == OXI_PACK_T4_256) && codebook;
}

/* Bytes from one chunk of a panel to the next. */
INLINE size_t chunk_step(oxi_pack pack, const oxi_codebook *codebook, int n_groups)
{
    return with_codebook(pack, codebook) ? oxi_codebook_layout_of(codebook, group_of(pack)).bytes : oxi_chunk_bytes(pack, n_groups);
}

#if WIDE_LOOKUP

/* Packs whose codes are looked up in pairs: two codes and their signs (or third bits) form an index of six bits.
 *     three bits               from the lowest bit on: code, code, sign, sign
 *     entries of four columns  three bits of the second code, three of the first; the sign takes the other code's place
 */
INLINE bool in_pairs(oxi_pack pack, const oxi_codebook *codebook)
{
    return oxi_traits[pack].bits == 3 || with_codebook(pack, codebook);
}

/* What all chunks of a matrix need: the values of an index's two codes, and tables of the entries' low and high bytes.
 * This turns an entry's four codes into indices. */
INLINE void begin(oxi_pack pack, const oxi_codebook *codebook, const oxi_matrix *m, codebook_scratch *b)
{
    if (!in_pairs(pack, codebook)) return;
    for (int i = 0; i < 64; i++)
        for (int second = 0; second < 2; second++) {
            int code;
            if (oxi_traits[pack].bits == 3) code = (i >> 2 * second & 3) | (i >> (4 + second) & 1) << 2;
            else code = second ? i & 15 : i >> 3 | (i & 4) << 1;
            b->of_pair[second][i] = (uint8_t)(has_table(pack) ? m->table[code] + 128 : code);
        }
    if (!with_codebook(pack, codebook) || oxi_codebook_keeps_entries(codebook)) return;
    const uint16_t *const entries = m->codebook->entries;
    for (int i = 0; i < codebook->n; i++) {
        unsigned e = entries[i];
        if (codebook->columns == 4) e = (e >> 4 & 0x0707) | (e & 0x0707) << 3;
        b->tables[i] = (uint8_t)e;
        b->tables[codebook->n + i] = (uint8_t)(e >> 8);
    }
}

/* Eight code registers from the planes of a three-bit group: two planes of code bits, and the signs of each pair of
 * registers in bits 4 and 5. */
INLINE void lookup_threes(const v_u8 of_pair[2], const v_u8 low[2], const v_u8 sign[4], v_u8 code[8])
{
    UNROLL for (int j = 0; j < 4; j++) {
        const v_u8 plane = low[j / 2];
        const v_u8 index = choose((v_u8){0} + 0x0f, j % 2 ? (v_u8)((v_u16)plane >> 4) : plane, sign[j]);
        code[2 * j] = lookup_wide(of_pair[0], index);
        code[2 * j + 1] = lookup_wide(of_pair[1], index);
    }
}

/* A plane of signs, shifted so that those of code registers 2j and 2j + 1 are in bits `to` and `to` + 1. */
INLINE v_u8 signs_of_pair(v_u8 signs, int j, int to)
{
    return (v_u8)(2 * j < to ? (v_u16)signs << (to - 2 * j) : (v_u16)signs >> (2 * j - to));
}

/* The codes of group g of the chunk at `src`. */
INLINE void lookup_entries(oxi_pack pack, const oxi_codebook *codebook, const uint8_t *tables, const v_u8 of_pair[2],
                           const uint8_t *src, int g, v_u8 code[8])
{
    const oxi_codebook_layout p = oxi_codebook_layout_of(codebook, group_of(pack));
    const uint8_t *const signs = src + p.signs + (codebook->one_sign ? 8 : 64) * g;
    v_u8 entry[2], sign[4];
    if (codebook->columns == 8) {
        v_u8 low[2];
        if (oxi_codebook_keeps_entries(codebook)) {
            entry[0] = load_u8(src + p.low + 64 * g);
            entry[1] = load_u8(src + p.high + 64 * g);
        } else {
            codebook_entries(tables, codebook->n, src + p.low + 64 * g, src + p.high + 8 * p.high_bits * g, entry);
        }
        low[0] = low_turns(entry[0], entry[1]);
        low[1] = high_turns(entry[0], entry[1]);
        if (codebook->one_sign) {
            const v_u8 all = bytes_of_mask(signs);
            sign[0] = sign[1] = low_turns(all, all);
            sign[2] = sign[3] = high_turns(all, all);
        } else {
            const v_u8 all = load_u8(signs);
            UNROLL for (int j = 0; j < 4; j++) sign[j] = signs_of_pair(all, j, 4);
        }
        lookup_threes(of_pair, low, sign, code);
        return;
    }
    const v_u8 all = load_u8(signs);
    UNROLL for (int half = 0; half < 2; half++) {
        const int at = 2 * g + half;
        codebook_entries(tables, codebook->n, src + p.low + 64 * at, src + p.high + 8 * p.high_bits * at, entry);
        UNROLL for (int j = 0; j < 2; j++) {
            const v_u8 s = signs_of_pair(all, 2 * half + j, 2);
            code[4 * half + 2 * j] = lookup_wide(of_pair[0], choose((v_u8){0} + 0x38, entry[j], s));
            code[4 * half + 2 * j + 1] = lookup_wide(of_pair[1], choose((v_u8){0} + 0x07, entry[j], s));
        }
    }
}

/* With more tokens, their sums and the tables do not both fit the registers; codes then go through the L1 cache. */
enum { MOST_BESIDE_TABLES = 4 };

INLINE void store_codes(oxi_pack pack, const oxi_codebook *codebook, const v_u8 of_pair[2], const uint8_t *src, codebook_scratch *b)
{
    for (int g = 0; g < OXI_CHUNK_GROUPS; g++) {
        v_u8 code[8];
        lookup_entries(pack, codebook, b->tables, of_pair, src, g, code);
        UNROLL for (int i = 0; i < 8; i++) memcpy(b->codes[8 * g + i], &code[i], VB);
    }
}

/* A chunk's scales and d, as the pack has them. */
INLINE void decode_factors(oxi_pack pack, const oxi_codebook *codebook, const uint8_t *src, uint8_t *factors)
{
    const oxi_codebook_layout p = oxi_codebook_layout_of(codebook, group_of(pack));
    const int n_scales = OXI_CHUNK / group_of(pack) * OXI_PANEL;
    const v_u8 mask = (v_u8){0} + 30, one = (v_u8){0} + 1;
    UNROLL for (int i = 0; i < n_scales / 2; i += VB) {
        const v_u16 both = (v_u16)load_u8(src + p.scales + i);
        const v_u8 low = ((v_u8)(both << 1) & mask) | one, high = ((v_u8)(both >> 3) & mask) | one;
        memcpy(factors + i, &low, VB);
        memcpy(factors + n_scales / 2 + i, &high, VB);
    }
    memcpy(factors + n_scales, src + p.d, 2 * OXI_PANEL);
}

#else

INLINE void begin(oxi_pack pack, const oxi_codebook *codebook, const oxi_matrix *m, codebook_scratch *b)
{
    if (with_codebook(pack, codebook)) m->decoder->load_tables(codebook, b->tables);
}

#endif
