/* Packs entry numbers into chunks, and expands chunks the plain way. */
#include "kernels/pack/codebook_chunk.h"

#include <string.h>

void oxi_book_put(const oxi_codebook *book, int group, const uint16_t (*entry)[OXI_MAX_ENTRIES],
                  const uint8_t (*code)[OXI_CHUNK], const int8_t (*scale)[OXI_PANEL], const uint16_t *d, uint8_t *dst)
{
    const oxi_book_places p = oxi_book_places_of(book, group);
    const int n_scales = OXI_CHUNK / group * OXI_PANEL, group_bytes = 16 * 32 / book->columns;
    const bool whole = oxi_book_kept_whole(book);
    memset(dst, 0, p.bytes);
    for (int r = 0; r < OXI_PANEL; r++) {
        for (int c = 0; c < OXI_CHUNK; c += book->columns) {
            const int place = c / 32 * group_bytes + oxi_book_place(book, r, c % 32), bit = place % 8;
            const unsigned at = entry[r][c / book->columns], number = whole ? book->entries[at] : at;
            dst[place] = (uint8_t)number;
            if (whole)
                dst[p.high + (size_t)place] = (uint8_t)(number >> 8);
            else
                for (int h = 0; h < p.high_bits; h++)
                    dst[p.high + (size_t)(place / 64 * p.high_bits + h) * 8 + (size_t)(place % 64 / 8)] |=
                        (uint8_t)((number >> (8 + h) & 1) << bit);
            if (book->one_sign) dst[p.signs + (size_t)place / 8] |= (uint8_t)(code[r][c] >> 3 << bit);
        }
        for (int c = 0; c < OXI_CHUNK && !book->one_sign; c += 4) {
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

static void begin(const oxi_codebook *book, uint8_t *tables)
{
    if (!oxi_book_kept_whole(book)) memcpy(tables, book->entries, 2 * book->n);
}

/* The entry at byte `place` of `low`. */
static unsigned entry_at(const oxi_codebook *book, const oxi_book_places *p, const uint8_t *tables, const uint8_t *src,
                         int place)
{
    unsigned number = src[place];
    if (oxi_book_kept_whole(book)) return number | (unsigned)src[p->high + (size_t)place] << 8;
    for (int h = 0; h < p->high_bits; h++)
        number |= (src[p->high + (size_t)(place / 64 * p->high_bits + h) * 8 + (size_t)(place % 64 / 8)] >> place % 8 & 1u)
                  << (8 + h);
    uint16_t entry;
    memcpy(&entry, tables + 2 * number, sizeof entry);
    return entry;
}

/* The specification: every other expander must produce the same chunk, to the bit. */
static void expand(const oxi_codebook *book, int group, const uint8_t *tables, const uint8_t *src, uint8_t *flat)
{
    const oxi_book_places p = oxi_book_places_of(book, group);
    const int n_scales = OXI_CHUNK / group * OXI_PANEL, group_bytes = 16 * 32 / book->columns;
    const size_t out_bytes = book->columns == 8 ? 192 : 256; /* per group: planes of 2 + 1 bits, or of 4 */
    memset(flat, 0, 8 * out_bytes);
    for (int g = 0; g < OXI_CHUNK_GROUPS; g++, flat += out_bytes)
        for (int r = 0; r < OXI_PANEL; r++)
            for (int c = 0; c < OXI_GROUP; c++) {
                const int place = g * group_bytes + oxi_book_place(book, r, c), half = c / 16, k = c % 4;
                const size_t lane = (size_t)(4 * r + c / 4 % 4);
                const unsigned entry = entry_at(book, &p, tables, src, place);
                const unsigned sign = book->one_sign ? src[p.signs + (size_t)place / 8] >> place % 8 & 1u
                                                     : src[p.signs + 64 * (size_t)g + lane] >> (4 * half + k) & 1u;
                if (book->columns == 8) {
                    flat[(size_t)(64 * half) + lane] |= (uint8_t)((entry >> 2 * (c % 8) & 3u) << 2 * k);
                    flat[128 + lane] |= (uint8_t)(sign << (4 * half + k));
                } else
                    flat[(size_t)(64 * k) + lane] |= (uint8_t)(((entry >> 4 * k & 7u) | sign << 3) << 4 * half);
            }
    for (int i = 0; i < n_scales; i++) {
        const unsigned both = src[p.scales + (size_t)(i % (n_scales / 2))];
        flat[i] = (uint8_t)(2 * (i < n_scales / 2 ? both & 15 : both >> 4) + 1);
    }
    memcpy(flat + n_scales, src + p.d, 2 * OXI_PANEL);
}

const oxi_expander oxi_expander_plain = {begin, expand};
