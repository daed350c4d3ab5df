/* Packs codebook indices into chunks, and decodes chunks the plain way. */
#include "kernels/pack/codebook_chunk.h"

#include <string.h>

void oxi_codebook_pack(const oxi_codebook *codebook, int group, const uint16_t (*entry)[OXI_MAX_ENTRIES],
                       const uint8_t (*code)[OXI_CHUNK], const int8_t (*scale)[OXI_PANEL], const uint16_t *d, uint8_t *dst)
{
    const oxi_codebook_layout p = oxi_codebook_layout_of(codebook, group);
    const int n_scales = OXI_CHUNK / group * OXI_PANEL, group_bytes = 16 * 32 / codebook->columns;
    const bool whole = oxi_codebook_keeps_entries(codebook);
    memset(dst, 0, p.bytes);
    for (int r = 0; r < OXI_PANEL; r++) {
        for (int c = 0; c < OXI_CHUNK; c += codebook->columns) {
            const int place = c / 32 * group_bytes + oxi_codebook_byte(codebook, r, c % 32), bit = place % 8;
            const unsigned at = entry[r][c / codebook->columns], number = whole ? codebook->entries[at] : at;
            dst[p.low + (size_t)place] = (uint8_t)number;
            if (whole)
                dst[p.high + (size_t)place] = (uint8_t)(number >> 8);
            else
                for (int h = 0; h < p.high_bits; h++)
                    dst[p.high + (size_t)(place / 64 * p.high_bits + h) * 8 + (size_t)(place % 64 / 8)] |=
                        (uint8_t)((number >> (8 + h) & 1) << bit);
            if (codebook->one_sign) dst[p.signs + (size_t)place / 8] |= (uint8_t)(code[r][c] >> 3 << bit);
        }
        for (int c = 0; c < OXI_CHUNK && !codebook->one_sign; c += 4) {
            uint32_t four;
            memcpy(&four, code[r] + c, sizeof four);
            four = four >> 3 & 0x01010101;
            dst[p.signs + 64 * (size_t)(c / 32) + (size_t)(4 * r + c / 4 % 4)] |=
                (uint8_t)(((four | four >> 7 | four >> 14 | four >> 21) & 15) << c % 32 / 16 * 4);
        }
    }
    for (int i = 0; i < n_scales; i++) {
        const unsigned s = (unsigned)scale[i / OXI_PANEL][i % OXI_PANEL] >> 1 & 15;
        dst[p.scales + (size_t)(i % (n_scales / 2))] |= (uint8_t)(s << (i < n_scales / 2 ? 0 : 4));
    }
    memcpy(dst + p.d, d, 2 * OXI_PANEL);
}

static void load_tables(const oxi_codebook *codebook, uint8_t *tables)
{
    if (!oxi_codebook_keeps_entries(codebook)) memcpy(tables, codebook->entries, 2 * codebook->n);
}

/* The entry at byte `place` of `low`. */
static unsigned entry_at(const oxi_codebook *codebook, const oxi_codebook_layout *p, const uint8_t *tables, const uint8_t *src,
                         int place)
{
    unsigned number = src[p->low + (size_t)place];
    if (oxi_codebook_keeps_entries(codebook)) return number | (unsigned)src[p->high + (size_t)place] << 8;
    for (int h = 0; h < p->high_bits; h++)
        number |= (src[p->high + (size_t)(place / 64 * p->high_bits + h) * 8 + (size_t)(place % 64 / 8)] >> place % 8 & 1u)
                  << (8 + h);
    uint16_t entry;
    memcpy(&entry, tables + 2 * number, sizeof entry);
    return entry;
}

/* The specification: every other decoder must produce the same chunk, to the bit. */
static void decode(const oxi_codebook *codebook, int group, const uint8_t *tables, const uint8_t *src, uint8_t *decoded)
{
    const oxi_codebook_layout p = oxi_codebook_layout_of(codebook, group);
    const int n_scales = OXI_CHUNK / group * OXI_PANEL, group_bytes = 16 * 32 / codebook->columns;
    const size_t out_bytes = codebook->columns == 8 ? 192 : 256; /* per group: planes of 2 + 1 bits, or of 4 */
    for (int i = 0; i < n_scales; i++) {
        const unsigned both = src[p.scales + (size_t)(i % (n_scales / 2))];
        decoded[i] = (uint8_t)(2 * (i < n_scales / 2 ? both & 15 : both >> 4) + 1);
    }
    memcpy(decoded + n_scales, src + p.d, 2 * OXI_PANEL);
    decoded += n_scales + 2 * OXI_PANEL;
    memset(decoded, 0, 8 * out_bytes);
    for (int g = 0; g < OXI_CHUNK_GROUPS; g++, decoded += out_bytes)
        for (int r = 0; r < OXI_PANEL; r++)
            for (int c = 0; c < OXI_GROUP; c++) {
                const int place = g * group_bytes + oxi_codebook_byte(codebook, r, c), half = c / 16, k = c % 4;
                const size_t lane = (size_t)(4 * r + c / 4 % 4);
                const unsigned entry = entry_at(codebook, &p, tables, src, place);
                const unsigned sign = codebook->one_sign ? src[p.signs + (size_t)place / 8] >> place % 8 & 1u
                                                     : src[p.signs + 64 * (size_t)g + lane] >> (4 * half + k) & 1u;
                if (codebook->columns == 8) {
                    decoded[(size_t)(64 * half) + lane] |= (uint8_t)((entry >> 2 * (c % 8) & 3u) << 2 * k);
                    decoded[128 + lane] |= (uint8_t)(sign << (4 * half + k));
                } else
                    decoded[(size_t)(64 * k) + lane] |= (uint8_t)(((entry >> 4 * k & 7u) | sign << 3) << 4 * half);
            }
}

const oxi_codebook_decoder oxi_codebook_decoder_plain = {load_tables, decode};
