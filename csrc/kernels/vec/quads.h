/* Four 8-bit integers in each 32-bit lane of a vector (simd.h): products of bytes.
 *
 * A key (stored with 128 added) is multiplied with a query's codes, from -127 to 127. A value (-127 to 127) is multiplied
 * with a share: an unsigned byte, or a number of 15 bits, whose two bytes are multiplied one after the other where the isa
 * multiplies bytes. Other isas have shares of 16 bits. The sums are the same everywhere.
 */
#ifndef OXI_VEC_QUADS_H
#define OXI_VEC_QUADS_H

#include "kernels/vec/pairs.h"

/* One vector of keys, ready to be multiplied with many others. */
typedef struct key_quads {
#if defined(__AVX512BW__) && !defined(__AVX512VNNI__)
    __mmask64 negative;
#elif defined(__AVX2__) && !defined(__AVX512VNNI__) && !defined(__AVXVNNI__)
    vi codes;
#endif
    vi bytes; /* as they are stored, or signed, or their magnitudes */
} key_quads;

INLINE key_quads load_keys(const uint8_t *p)
{
    key_quads q;
    memcpy(&q.bytes, p, sizeof q.bytes);
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#elif defined(__AVX512BW__)
    const __m512i codes = _mm512_xor_si512((__m512i)q.bytes, _mm512_set1_epi8(-128));
    q.negative = _mm512_movepi8_mask(codes);
    q.bytes = (vi)_mm512_abs_epi8(codes);
#elif defined(__AVX2__)
    q.codes = (vi)_mm256_xor_si256((__m256i)q.bytes, _mm256_set1_epi8(-128));
    q.bytes = (vi)_mm256_abs_epi8((__m256i)q.codes);
#else
    q.bytes ^= (int32_t)0x80808080 + (vi){0};
#endif
    return q;
}

/* What a sum of products begins with. `codes`: the sum of the query's codes. Where an instruction takes the stored bytes,
 * its products are too large by 128 times that. */
INLINE vi begin_keys(int32_t codes)
{
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
    return -128 * codes + (vi){0};
#else
    (void)codes;
    return (vi){0};
#endif
}

/* c + the sum of each lane's four products. b: from -127 to 127, so that two products fit 16 bits. */
INLINE vi dot_keys(vi c, key_quads a, vi b)
{
#if defined(__AVX512VNNI__)
    return (vi)_mm512_dpbusd_epi32((__m512i)c, (__m512i)a.bytes, (__m512i)b);
#elif defined(__AVX512BW__)
    const __m512i turned = _mm512_mask_sub_epi8((__m512i)b, a.negative, _mm512_setzero_si512(), (__m512i)b);
    return c + (vi)_mm512_madd_epi16(_mm512_maddubs_epi16((__m512i)a.bytes, turned), _mm512_set1_epi16(1));
#elif defined(__AVXVNNI__)
    return (vi)_mm256_dpbusd_avx_epi32((__m256i)c, (__m256i)a.bytes, (__m256i)b);
#elif defined(__AVX2__)
    const __m256i turned = _mm256_sign_epi8((__m256i)b, (__m256i)a.codes);
    return c + (vi)_mm256_madd_epi16(_mm256_maddubs_epi16((__m256i)a.bytes, turned), _mm256_set1_epi16(1));
#elif defined(__ARM_FEATURE_DOTPROD)
    return (vi)vdotq_s32((int32x4_t)c, (int8x16_t)a.bytes, (int8x16_t)b);
#else
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) c += ((vi)((vu)a.bytes << (24 - 8 * i)) >> 24) * ((vi)((vu)b << (24 - 8 * i)) >> 24);
    return c;
#endif
}

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(__ARM_FEATURE_DOTPROD)
#define SHARE_PLANES 2 /* the low bytes of shares, then the high ones */
typedef uint8_t share;
typedef struct value_quads { vi bytes; } value_quads;
#else
#define SHARE_PLANES 1
typedef int16_t share; /* of positions 0, 2, 1, 3 of a quad */
typedef struct value_quads { vi even, odd; } value_quads; /* positions 0 and 2, 1 and 3, as pairs of 16 bits */
#endif

INLINE value_quads load_values(const uint8_t *p)
{
    vi bytes;
    memcpy(&bytes, p, sizeof bytes);
#if SHARE_PLANES == 1
    const vs pairs = (vs)bytes;
    return (value_quads){(vi)((vs)((vu)bytes << 8 & 0xff00ff00) >> 8), (vi)(pairs >> 8)};
#elif defined(__ARM_FEATURE_DOTPROD)
    return (value_quads){bytes ^ (int32_t)0x80808080}; /* 128 added */
#else
    return (value_quads){bytes};
#endif
}

/* What a sum of products begins with. `shares`: the sum of all shares. See begin_keys. */
INLINE vi begin_values(int32_t shares)
{
#if defined(__ARM_FEATURE_DOTPROD) && SHARE_PLANES == 2
    return -128 * shares + (vi){0};
#else
    (void)shares;
    return (vi){0};
#endif
}

/* Where store_shares puts the shares of positions 4 i to 4 i + 3. */
INLINE int quad_at(int i)
{
    const int lane = VW / 4, together = 4 / (int)sizeof(share); /* quads of a vector; vectors that are stored together */
    const int vector = i / lane % together;
    return i - i % (lane * together) + i % lane * together + vector;
}

/* Store shares of the positions of 4 / sizeof(share) vectors; bits above a share's are dropped. Returns the sum of the
 * shares if begin_values needs it. */
INLINE int32_t store_shares(share *to, const vi *x)
{
#if defined(__AVX512VNNI__)
    const __m512i a = _mm512_packus_epi32((__m512i)x[0], (__m512i)x[1]), b = _mm512_packus_epi32((__m512i)x[2], (__m512i)x[3]);
    _mm512_storeu_si512(to, _mm512_packus_epi16(a, b));
#elif defined(__AVXVNNI__)
    const __m256i a = _mm256_packus_epi32((__m256i)x[0], (__m256i)x[1]), b = _mm256_packus_epi32((__m256i)x[2], (__m256i)x[3]);
    _mm256_storeu_si256((void *)to, _mm256_packus_epi16(a, b));
#elif defined(__AVX512BW__)
    const __m512i a = _mm512_packs_epi32((__m512i)x[0], (__m512i)x[1]);
    _mm512_storeu_si512(to, _mm512_shufflehi_epi16(_mm512_shufflelo_epi16(a, 0xd8), 0xd8));
#elif defined(__AVX2__)
    const __m256i a = _mm256_packs_epi32((__m256i)x[0], (__m256i)x[1]);
    _mm256_storeu_si256((void *)to, _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(a, 0xd8), 0xd8));
#elif SHARE_PLANES == 2
    const uint16x8_t a = vcombine_u16(vmovn_u32((uint32x4_t)x[0]), vmovn_u32((uint32x4_t)x[1]));
    const uint16x8_t b = vcombine_u16(vmovn_u32((uint32x4_t)x[2]), vmovn_u32((uint32x4_t)x[3]));
    const uint8x16_t bytes = vcombine_u8(vmovn_u16(a), vmovn_u16(b));
    vst1q_u8(to, bytes);
    return vaddlvq_u8(bytes);
#else
    for (int v = 0; v < 2; v++, to += 4)
        to[0] = (share)x[v][0], to[1] = (share)x[v][2], to[2] = (share)x[v][1], to[3] = (share)x[v][3];
#endif
#if !defined(__ARM_FEATURE_DOTPROD) || SHARE_PLANES == 1
    return 0;
#endif
}

/* c + the sum of each lane's four products with the quad of shares at `at`, in every lane. */
INLINE vi dot_values(vi c, value_quads v, const share *at)
{
    int32_t x[sizeof *at];
    memcpy(x, at, sizeof x);
#if defined(__AVX512VNNI__)
    return (vi)_mm512_dpbusd_epi32((__m512i)c, _mm512_set1_epi32(x[0]), (__m512i)v.bytes);
#elif defined(__AVXVNNI__)
    return (vi)_mm256_dpbusd_avx_epi32((__m256i)c, _mm256_set1_epi32(x[0]), (__m256i)v.bytes);
#elif defined(__ARM_FEATURE_DOTPROD)
    return (vi)vdotq_u32((uint32x4_t)c, (uint8x16_t)v.bytes, vreinterpretq_u8_s32(vdupq_n_s32(x[0])));
#else
    return dot_pairs(dot_pairs(c, v.even, x[0] + (vi){0}), v.odd, x[1] + (vi){0});
#endif
}

#endif
