/* AVX-512 with VNNI and VBMI, whose permutations of bytes look 64 entry numbers up in 128 bytes at a time: codebooks need
 * not be expanded in memory. Products are the VNNI row's. */
#include "books.h"
#include "cpu.h"
#include "rows.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE __m512i load(const uint8_t *p) { return _mm512_loadu_si512(p); }
INLINE void store(uint8_t *p, __m512i v) { _mm512_storeu_si512(p, v); }

INLINE __mmask64 load_mask(const uint8_t *p)
{
    uint64_t bits;
    memcpy(&bits, p, sizeof bits);
    return (__mmask64)bits;
}

/* The low bytes of all entries, then the high ones. */
static void begin(const oxi_codebook *book, uint8_t *tables)
{
    for (int i = 0; i < book->n; i++) {
        tables[i] = (uint8_t)book->entries[i];
        tables[book->n + i] = (uint8_t)(book->entries[i] >> 8);
    }
}

/* One byte of the entries whose numbers have bits 0..7 in `low`; bits 7, 8, 9, 10 in `bit` choose between tables of 128. */
INLINE __m512i look_up(const uint8_t *table, int n, __m512i low, const __mmask64 bit[4])
{
    __m512i found[16];
#pragma GCC unroll 16
    for (int i = 0; i < n / 128; i++)
        found[i] = _mm512_permutex2var_epi8(load(table + 128 * i), low, load(table + 128 * i + 64));
#pragma GCC unroll 4
    for (int b = 0; b < 4; b++)
#pragma GCC unroll 16
        for (int i = 0; i < n / 128 >> (b + 1); i++)
            found[i] = _mm512_mask_blend_epi8(bit[b], found[2 * i], found[2 * i + 1]);
    return found[0];
}

/* Both bytes of the entries at `low`. */
INLINE void look_both_up(const uint8_t *tables, int n, const uint8_t *low, const uint8_t *high, __m512i out[2])
{
    const __m512i number = load(low);
    __mmask64 bit[4] = {_mm512_movepi8_mask(number)};
#pragma GCC unroll 4
    for (int b = 1; 128 << b < n; b++) bit[b] = load_mask(high + 8 * (b - 1));
    out[0] = look_up(tables, n, number, bit);
    out[1] = look_up(tables + n, n, number, bit);
}

INLINE void expand_scales(int n, const uint8_t *src, uint8_t *dst)
{
    const __m512i one = _mm512_set1_epi8(1), mask = _mm512_set1_epi8(30);
    for (int i = 0; i < n / 2; i += 64) {
        const __m512i both = load(src + i);
        /* (x & mask) | one */
        store(dst + i, _mm512_ternarylogic_epi32(_mm512_slli_epi16(both, 1), mask, one, 0xea));
        store(dst + n / 2 + i, _mm512_ternarylogic_epi32(_mm512_srli_epi16(both, 3), mask, one, 0xea));
    }
}

/* Eight columns per entry: a byte of an entry is a byte of a 2-bit plane. */
INLINE void expand_eights(int n, bool one_sign, const uint8_t *tables, const oxi_book_places *p, const uint8_t *src, uint8_t *flat)
{
    for (int g = 0; g < OXI_CHUNK_GROUPS; g++, flat += 192) {
        __m512i byte[2];
        look_both_up(tables, n, src + 64 * g, src + p->high + 8 * p->high_bits * g, byte);
        store(flat, _mm512_unpacklo_epi8(byte[0], byte[1]));
        store(flat + 64, _mm512_unpackhi_epi8(byte[0], byte[1]));
        if (one_sign) {
            const __m512i sign = _mm512_movm_epi8(load_mask(src + p->signs + 8 * g)), low_half = _mm512_set1_epi8(15);
            store(flat + 128, _mm512_ternarylogic_epi32(low_half, _mm512_unpacklo_epi8(sign, sign),
                                                        _mm512_unpackhi_epi8(sign, sign), 0xca));
        } else {
            store(flat + 128, load(src + p->signs + 64 * g));
        }
    }
}

/* Four columns per entry, in nibbles; halves of a group share a plane's bytes. */
INLINE void expand_fours(int n, const uint8_t *tables, const oxi_book_places *p, const uint8_t *src, uint8_t *flat)
{
    const __m512i low = _mm512_set1_epi8(0x0f), top = _mm512_set1_epi8((char)0x88);
    for (int g = 0; g < OXI_CHUNK_GROUPS; g++, flat += 256) {
        const uint8_t *high = src + p->high + 16 * p->high_bits * g;
        __m512i a[2], b[2];
        look_both_up(tables, n, src + 128 * g, high, a);
        look_both_up(tables, n, src + 128 * g + 64, high + 8 * p->high_bits, b);
        const __m512i sign = load(src + p->signs + 64 * g);
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) {
            /* low ? x : y, then | (sign & top) */
            const __m512i x = k % 2 ? _mm512_srli_epi16(a[k / 2], 4) : a[k / 2];
            const __m512i y = k % 2 ? b[k / 2] : _mm512_slli_epi16(b[k / 2], 4);
            const __m512i both = _mm512_ternarylogic_epi32(low, x, y, 0xca);
            store(flat + 64 * k, _mm512_ternarylogic_epi32(both, _mm512_slli_epi16(sign, 3 - k), top, 0xf8));
        }
    }
}

static void expand(const oxi_codebook *book, int group, const uint8_t *tables, const uint8_t *src, uint8_t *flat)
{
    const oxi_book_places p = oxi_book_places_of(book, group);
    uint8_t *const tail = flat + OXI_CHUNK_GROUPS * (book->columns == 8 ? 192 : 256);
    if (book->columns == 4) {
        if (book->n == 256) expand_fours(256, tables, &p, src, flat);
        else expand_fours(512, tables, &p, src, flat);
    } else {
        switch (book->n) {
        case 256: expand_eights(256, false, tables, &p, src, flat); break;
        case 512: expand_eights(512, false, tables, &p, src, flat); break;
        case 1024: expand_eights(1024, false, tables, &p, src, flat); break;
        default: expand_eights(2048, true, tables, &p, src, flat); break;
        }
    }
    const int n_scales = OXI_CHUNK / group * OXI_PANEL;
    expand_scales(n_scales, src + p.scales, tail);
    memcpy(tail + n_scales, src + p.d, 2 * OXI_PANEL);
}

static const oxi_expander expander = {begin, expand};

const oxi_kernels oxi_row_avx512_vbmi = {
    .name = "avx512-vbmi",
    .needs = OXI_CPU_AVX2 | OXI_CPU_AVX512 | OXI_CPU_AVX512VNNI | OXI_CPU_AVX512VBMI,
    .expander = &expander,
};
