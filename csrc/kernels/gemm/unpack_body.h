/* Unpacks bytes into registers: codes, scales and minima as layout.h draws them. */

INLINE v_f32 load_half(const uint8_t *p) { return from_halves((v_half_u16)load_halves(p)); }

/* What all chunks of a matrix share. */
typedef struct constants {
    v_u8 table; /* as read_codes gives its values */
    v_f32 unit;
    const oxi_codebook *codebook;
#if WIDE_LOOKUP
    v_u8 of_pair[2];
    const uint8_t *tables;
    const uint8_t (*codes)[64]; /* NULL: entries are looked up group by group. Else the codes of the chunk */
#endif
} constants;

/* `codebook`: m's codebook or NULL; on isas with WIDE_LOOKUP, one of its shape that the compiler knows. */
INLINE constants constants_of(oxi_pack pack, const oxi_codebook *codebook, const oxi_matrix *m, const codebook_scratch *b)
{
    (void)b;
    constants k = {.unit = every_f32(m->unit), .codebook = codebook};
#if WIDE_LOOKUP
    k.tables = b->tables;
    if (in_pairs(pack, codebook)) UNROLL for (int i = 0; i < 2; i++) k.of_pair[i] = load_u8(b->of_pair[i]);
#endif
    if (!has_table(pack)) return k;
    int8_t table[VB];
    for (int i = 0; i < VB; i++) table[i] = m->table[i % 16];
    k.table = SIGNED_BYTES ? load_u8(table) : load_u8(table) ^ 0x80;
    return k;
}

/* A group's registers as in memory, one strip of their lanes: planes, or the codes themselves. */
typedef struct registers {
    v_u8 r[8];
} registers;

/* Group g of the chunk at `src`. `held`: planes stay in registers; otherwise the compiler may read them again for each
 * code register. */
INLINE registers read_group(oxi_pack pack, const constants *k, bool held, const uint8_t *src, int g, int strip)
{
    registers p;
    (void)k;
#if WIDE_LOOKUP
    if (with_codebook(pack, k->codebook)) {
        if (!k->codes) lookup_entries(pack, k->codebook, k->tables, k->of_pair, src, g, p.r);
        else UNROLL for (int i = 0; i < 8; i++) p.r[i] = load_u8(k->codes[8 * g + i]);
        return p;
    }
#endif
    UNROLL for (int j = 0; j < oxi_traits[pack].bits; j++) {
        const uint8_t *const from = src + (size_t)g * oxi_group_bytes(pack) + 64 * j + VB * strip;
        p.r[j] = held ? load_in_order(from) : load_u8(from);
    }
#if WIDE_LOOKUP
    if (in_pairs(pack, NULL)) {
        v_u8 sign[4], code[8];
        UNROLL for (int j = 0; j < 4; j++) sign[j] = signs_of_pair(p.r[2], j, 4);
        lookup_threes(k->of_pair, p.r, sign, code);
        UNROLL for (int i = 0; i < 8; i++) p.r[i] = code[i];
    }
#endif
    return p;
}

/* Code register i's bits in planes of 1 or 2 bits, shifted up by `to`. */
INLINE v_u8 read_bits(int bits, const v_u8 *plane, int i, int to)
{
    const v_u16 h = (v_u16)plane[i * bits / 8];
    const int from = i * bits % 8, mask = ((1 << bits) - 1) << to;
    return (v_u8)(from < to ? h << (to - from) : h >> (from - to)) & (uint8_t)mask;
}

/* Code register i of a group (layout.h). */
INLINE v_u8 read_codes(oxi_pack pack, const constants *k, const registers *group, int i)
{
    const v_u8 *const r = group->r;
    const int bits = oxi_traits[pack].bits;
    v_u8 code;
    if (bits == 8) return SIGNED_BYTES ? r[i] ^ 0x80 : r[i];
    if (bits == 1) return read_bits(1, r, i, 1);
#if WIDE_LOOKUP
    if (in_pairs(pack, k->codebook)) return r[i];
    if (has_table(pack)) return lookup_wide(k->table, i < 4 ? r[i] : (v_u8)((v_u16)r[i % 4] >> 4));
#endif
    if (bits < 4) {
        code = read_bits(2, r, i, 0);
        if (bits == 3) code |= read_bits(1, r + 2, i, 2);
    } else {
        code = i < 4 ? r[i] & 0x0f : (v_u8)((v_u16)r[i % 4] >> 4) & 0x0f;
        if (bits > 4) code |= read_bits(bits - 4, r + 4, i, 4);
    }
    return has_table(pack) ? lookup(k->table, code) : code;
}

/* What to add to codes so that their zero is that of unpacked codes. */
INLINE int unpack_shift(oxi_pack pack)
{
    if (!moved_when_unpacked(pack)) return 0;
    return (SIGNED_BYTES ? 0 : OXI_ACT_ZERO) - (1 << oxi_traits[pack].zero_shift);
}

/* The scale of a chunk; 1 where the scale groups need no other factor. */
INLINE v_f32 read_d(oxi_pack pack, const constants *k, const uint8_t *factors, int strip)
{
    const int at = 2 * LANES * strip;
    if (factors_of(pack) == OXI_FACTORS_SIX_BIT) return load_half(factors + OXI_SIX_D + at);
    if (factors_of(pack) == OXI_FACTORS_FOUR_BIT) return load_half(factors + OXI_FOUR_D + at);
    if (factors_of(pack) == OXI_FACTORS_FLOAT) return load_f32(factors + 2 * at);
    if (factors_of(pack) != OXI_FACTORS_INT8) return every_f32(1.0f);
    const v_f32 d = load_half(factors + oxi_int8_d(pack) + at);
    return has_table(pack) ? d * k->unit : d;
}

/* The part of d that goes into the scales of groups. */
INLINE v_f32 group_d(oxi_pack pack, const constants *k, const uint8_t *factors, int strip)
{
    return has_whole_parts(pack) ? every_f32(1.0f) : read_d(pack, k, factors, strip);
}

/* Powers of two from their E8M0 bytes, halved; the two smallest are subnormal. */
INLINE v_f32 power_of_two(v_i32 e)
{
    const v_i32 small = e < 2;
    return (v_f32)((((e - 1) << 23) & ~small) | (((e + 1) << 21) & small));
}

/* Integer scales, one byte per row. */
INLINE v_lanes scale_bytes(oxi_pack pack, const uint8_t *factors, int group, int strip)
{
    const int at = OXI_PANEL * group + LANES * strip;
    const v_lanes low = load_lanes(factors + at);
    if (factors_of(pack) == OXI_FACTORS_INT8) return low;
    if (factors_of(pack) == OXI_FACTORS_FOUR_BIT) return low & 0x0f;
    const v_lanes high = load_lanes(factors + OXI_SIX_HIGH + at % 64);
    return (low & 0x0f) | ((group < 4 ? (v_lanes)((v_lanes_u16)high << 4) : high) & 0x30);
}

INLINE v_f32 read_scale(oxi_pack pack, const uint8_t *factors, int group, int strip, v_f32 d)
{
    const int at = OXI_PANEL * group + LANES * strip;
    switch (factors_of(pack)) {
    case OXI_FACTORS_HALF: return load_half(factors + 2 * (OXI_PANEL * (group * OXI_GROUP / oxi_traits[pack].span) + LANES * strip));
    case OXI_FACTORS_HALF_MIN: return load_half(factors + 64 * group + 2 * LANES * strip);
    case OXI_FACTORS_E8M0: return power_of_two(widen_u8(load_lanes(factors + at)));
    /* Halves with the exponent's lower four bits: small ones have no full mantissa, and only halves convert those at no
     * cost. */
    case OXI_FACTORS_E4M3:
        return from_halves(__builtin_convertvector(load_lanes(factors + at), v_half_u16) << 7) * every_f32(0x1p7f);
    case OXI_FACTORS_INT8: return d * to_float(widen_i8(scale_bytes(pack, factors, group, strip)));
    case OXI_FACTORS_FOUR_BIT: case OXI_FACTORS_SIX_BIT: return d * to_float(widen_u8(scale_bytes(pack, factors, group, strip)));
    case OXI_FACTORS_FLOAT: break;
    }
    return d;
}

/* Integer scales as bytes, in all four bytes of the row's lane; and as 16 bits, in both halves. */
INLINE v_u8 read_scale_u8(oxi_pack pack, const uint8_t *factors, int group, int strip)
{
    const v_i32 one = widen_u8(scale_bytes(pack, factors, group, strip)), two = one | one << 8;
    return (v_u8)(two | two << 16);
}

INLINE v_i16 read_scale_i16(oxi_pack pack, const uint8_t *factors, int group, int strip)
{
    const v_i32 one = widen_u8(scale_bytes(pack, factors, group, strip));
    return (v_i16)(one | one << 16);
}

/* Minima of a pair of groups, side by side in each row. */
INLINE v_i16 read_minima(oxi_pack pack, const uint8_t *factors, int pair, int strip)
{
    const int at = 2 * OXI_PANEL * pair + VB / 2 * strip;
    const v_half low = (v_half)((v_half_u16)load_halves(factors + at) >> 4) & 0x0f;
    if (factors_of(pack) == OXI_FACTORS_FOUR_BIT) return widen_pairs(low);
    const v_half_u16 high = (v_half_u16)load_halves(factors + OXI_SIX_HIGH + at % 64);
    return widen_pairs(low | ((v_half)(pair < 2 ? high << 2 : high >> 2) & 0x30));
}

INLINE v_f32 read_dmin(oxi_pack pack, const uint8_t *factors, int strip)
{
    return load_half(factors + (factors_of(pack) == OXI_FACTORS_FOUR_BIT ? OXI_FOUR_DMIN : OXI_SIX_DMIN) + 2 * LANES * strip);
}

/* The minimum that is subtracted group by group. */
INLINE v_f32 read_minimum(const uint8_t *factors, int group, int strip)
{
    return load_half(factors + 64 * group + 32 + 2 * LANES * strip);
}
