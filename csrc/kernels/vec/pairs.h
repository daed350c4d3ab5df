/* Pairs of 16-bit integers, one in each 32-bit lane of a vector (simd.h). */
#ifndef OXI_VEC_PAIRS_H
#define OXI_VEC_PAIRS_H

#include "kernels/vec/simd.h"

typedef int16_t vs __attribute__((vector_size(VW * 4)));      /* two in a lane */
typedef int16_t vs_half __attribute__((vector_size(VW * 2))); /* one for each lane */
typedef int8_t vb_quarter __attribute__((vector_size(VW)));

INLINE vf to_float(vi x) { return __builtin_convertvector(x, vf); }

/* Round to the nearest integer, ties to even, for |x| < 2^22. */
INLINE vi round_(vf x)
{
#if defined(__AVX512F__)
    return (vi)_mm512_cvtps_epi32((__m512)x);
#elif defined(__AVX2__)
    return (vi)_mm256_cvtps_epi32((__m256)x);
#elif defined(__aarch64__)
    return (vi)vcvtnq_s32_f32((float32x4_t)x);
#else
    const vf magic = splat(12582912.0f); /* 1.5 * 2^23 */
    return (vi)((vu)(x + magic) - (vu)magic);
#endif
}

INLINE vi load_pairs(const void *p) { vi v; memcpy(&v, p, sizeof v); return v; }
INLINE void store_pairs(int16_t *p, vi v) { memcpy(p, &v, sizeof v); }

/* Store the low halves of the lanes side by side. */
INLINE void store_codes(int16_t *p, vi v)
{
#if defined(__AVX512F__)
    _mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16((__m512i)v));
#elif defined(__AVX2__)
    const __m128i low = _mm256_castsi256_si128((__m256i)v), high = _mm256_extracti128_si256((__m256i)v, 1);
    _mm_storeu_si128((void *)p, _mm_packs_epi32(low, high));
#else
    const vs_half narrow = __builtin_convertvector(v, vs_half);
    memcpy(p, &narrow, sizeof narrow);
#endif
}

/* Store the lowest bytes of the lanes side by side. */
INLINE void store_bytes(int8_t *p, vi v)
{
#if defined(__AVX512F__)
    _mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8((__m512i)v));
#else
    const vb_quarter narrow = __builtin_convertvector(v, vb_quarter);
    memcpy(p, &narrow, sizeof narrow);
#endif
}

/* The sum of the lanes. */
INLINE int32_t sum_codes(vi v)
{
#if defined(__AVX512F__)
    return _mm512_reduce_add_epi32((__m512i)v);
#else
    int32_t total = 0;
    for (int i = 0; i < VW; i++) total += v[i];
    return total;
#endif
}

/* c + the sum of each lane's two products. */
INLINE vi dot_pairs(vi c, vi a, vi b)
{
#if defined(__AVX512VNNI__)
    return (vi)_mm512_dpwssd_epi32((__m512i)c, (__m512i)a, (__m512i)b);
#elif defined(__AVX512BW__)
    return c + (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVXVNNI__)
    return (vi)_mm256_dpwssd_avx_epi32((__m256i)c, (__m256i)a, (__m256i)b);
#elif defined(__AVX2__)
    return c + (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__aarch64__)
    const int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    return c + (vi)vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
#else
    return c + (a >> 16) * (b >> 16) + ((vi)((vu)a << 16) >> 16) * ((vi)((vu)b << 16) >> 16);
#endif
}

#endif
