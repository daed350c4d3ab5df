/* AVX-512 with VNNI and VBMI. VBMI's byte permutations look up 64 six-bit indices at a time and ignore the other two
 * bits. So packs with a table or with three bits need less unpacking, and codebook entries become codes in registers. */
#define PACKS(F) F(T4_256) F(T3_256) F(T3_256_16) F(Q3_256_16)
#define WIDE_LOOKUP 1
#include "kernels/isa/x86_512_vnni_body.h"

INLINE v_u8 lookup_wide(v_u8 table, v_u8 index) { return (v_u8)_mm512_permutexvar_epi8((__m512i)index, (__m512i)table); }

/* mask ? a : b, bit by bit. */
INLINE v_u8 choose(v_u8 mask, v_u8 a, v_u8 b)
{
    return (v_u8)_mm512_ternarylogic_epi32((__m512i)mask, (__m512i)a, (__m512i)b, 0xca);
}

INLINE __mmask64 load_mask(const uint8_t *p)
{
    uint64_t bits;
    memcpy(&bits, p, sizeof bits);
    return (__mmask64)bits;
}

/* One byte of each entry. `low` holds bits 0..7 of the indices; bits 7, 8 and 9 in `bit` choose between tables of
 * 128. */
INLINE __m512i look_up(const uint8_t *table, int n, __m512i low, const __mmask64 bit[3])
{
    __m512i found[8];
    UNROLL for (int i = 0; i < n / 128; i++)
        found[i] = _mm512_permutex2var_epi8(_mm512_loadu_si512(table + 128 * i), low, _mm512_loadu_si512(table + 128 * i + 64));
    UNROLL for (int b = 0; b < 3; b++)
        UNROLL for (int i = 0; i < n / 128 >> (b + 1); i++)
            found[i] = _mm512_mask_blend_epi8(bit[b], found[2 * i], found[2 * i + 1]);
    return found[0];
}

/* Both bytes of 64 entries, from `tables` as `begin` leaves them. */
INLINE void codebook_entries(const uint8_t *tables, int n, const uint8_t *low, const uint8_t *high, v_u8 out[2])
{
    const __m512i number = _mm512_loadu_si512(low);
    __mmask64 bit[3] = {_mm512_movepi8_mask(number)};
    UNROLL for (int b = 1; 128 << b < n; b++) bit[b] = load_mask(high + 8 * (b - 1));
    out[0] = (v_u8)look_up(tables, n, number, bit);
    out[1] = (v_u8)look_up(tables + n, n, number, bit);
}

INLINE v_u8 bytes_of_mask(const uint8_t *p) { return (v_u8)_mm512_movm_epi8(load_mask(p)); }

/* Alternate bytes of a and b, eight of each from every sixteen. */
INLINE v_u8 low_turns(v_u8 a, v_u8 b) { return (v_u8)_mm512_unpacklo_epi8((__m512i)a, (__m512i)b); }
INLINE v_u8 high_turns(v_u8 a, v_u8 b) { return (v_u8)_mm512_unpackhi_epi8((__m512i)a, (__m512i)b); }

#include "kernels/isa/gemm_table_body.h"

const oxi_kernels oxi_kernels_avx512_vbmi = {
    .name = "avx512-vbmi",
    .needs = OXI_CPU_AVX2 | OXI_CPU_AVX512 | OXI_CPU_AVX512VNNI | OXI_CPU_AVX512VBMI,
    .matmul = {PACKS(ENTRY)},
    .decoder = &oxi_codebook_decoder_plain,
};
