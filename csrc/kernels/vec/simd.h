/* A vector of floats as wide as this translation unit's instruction set, and the operations that GCC's vector types
 * lack: fused multiply-add, selection, rounding, reductions, half precision, exp and tanh. */
#ifndef OXI_VEC_SIMD_H
#define OXI_VEC_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define VW 16
#elif defined(__AVX2__)
#define VW 8
#else
#define VW 4
#endif

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

typedef float vf __attribute__((vector_size(VW * 4)));
typedef int32_t vi __attribute__((vector_size(VW * 4)));
typedef uint32_t vu __attribute__((vector_size(VW * 4)));
typedef uint16_t vh __attribute__((vector_size(VW * 2)));

#define INLINE static inline __attribute__((always_inline))

INLINE vf load(const float *p) { vf v; memcpy(&v, p, sizeof v); return v; }
INLINE void store(float *p, vf v) { memcpy(p, &v, sizeof v); }
INLINE vf splat(float x) { return x - (vf){0}; }
INLINE vf pick(vi mask, vf a, vf b) { return (vf)(((vi)a & mask) | ((vi)b & ~mask)); }
/* The first n lanes of p, zeros after them. */
INLINE vf load_part(const float *p, int64_t n) { vf v = {0}; memcpy(&v, p, (size_t)n * 4); return v; }
INLINE void store_part(float *p, vf v, int64_t n) { memcpy(p, &v, (size_t)n * 4); }

/* a * b + c */
INLINE vf fma_(vf a, vf b, vf c)
{
#if defined(__AVX512F__)
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

/* The second operand if either is NaN, as on x86. */
INLINE vf max_(vf a, vf b)
{
#if defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return pick(a > b, a, b);
#endif
}

INLINE vf min_(vf a, vf b)
{
#if defined(__AVX512F__)
    return (vf)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vf)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return pick(a < b, a, b);
#endif
}

/* Fold the halves onto each other until one lane is left. */
INLINE float sum(vf v)
{
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)v);
#else
    for (int step = VW / 2; step; step /= 2) {
        vf other = v;
        memcpy(&other, (const char *)&v + step * 4, (size_t)step * 4);
        v += other;
    }
    return v[0];
#endif
}

INLINE float largest(vf v)
{
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)v);
#else
    for (int step = VW / 2; step; step /= 2) {
        vf other = v;
        memcpy(&other, (const char *)&v + step * 4, (size_t)step * 4);
        v = max_(v, other);
    }
    return v[0];
#endif
}

/* e^x to about 1 ulp: x = k ln 2 + r, |r| <= ln 2 / 2, e^r by its Taylor series to r^7 (remainder below 6e-9). 2^k comes
 * from the scaling instruction where there is one, else from the exponent bits, in two factors. Results below the
 * smallest normal number are 0 (without the instruction) or denormal. NaN stays NaN. Its bits are no exponent, so
 * integers that may hold them are unsigned: their overflow is defined. */
INLINE vf exp_(vf x)
{
#if defined(__AVX512F__)
    const vf low = splat(-105.0f), high = splat(89.0f); /* the result is 0 or infinity beyond these */
#else
    const vf low = splat(-87.33654f), high = splat(88.72283f);
#endif
    const vf round_magic = splat(12582912.0f); /* 1.5 * 2^23: adding it leaves the integer in the low bits */
    const vf inside = min_(high, max_(low, x));
    const vf shifted = fma_(inside, splat(1.44269504f), round_magic);
    const vf k = shifted - round_magic;
    vf r = fma_(k, splat(-0.693359375f), inside);
    r = fma_(k, splat(2.12194440e-4f), r);
    vf p = splat(1.0f / 5040);
    p = fma_(p, r, splat(1.0f / 720));
    p = fma_(p, r, splat(1.0f / 120));
    p = fma_(p, r, splat(1.0f / 24));
    p = fma_(p, r, splat(1.0f / 6));
    p = fma_(p, r, splat(0.5f));
    p = fma_(p, r, splat(1.0f));
    p = fma_(p, r, splat(1.0f));
#if defined(__AVX512F__)
    return (vf)_mm512_scalef_ps((__m512)p, (__m512)k);
#else
    const vu exponent = (vu)shifted - (vu)round_magic;
    const vu half = (vu)((vi)exponent >> 1);
    const vf a = (vf)((half + 127) << 23), b = (vf)((exponent - half + 127) << 23);
    const vf y = pick(x < low, (vf){0}, p * a * b);
    return pick(x > high, splat(INFINITY), y);
#endif
}

/* tanh x = 1 - 2 / (e^2x + 1); near 0, where the difference would cancel, its series. */
INLINE vf tanh_(vf x)
{
    const vf e = exp_(x + x);
    const vf far = splat(1.0f) - splat(2.0f) / (e + splat(1.0f));
    const vf s = x * x;
    vf near = fma_(s, splat(-17.0f / 315), splat(2.0f / 15));
    near = fma_(near, s, splat(-1.0f / 3));
    near = fma_(near * s, x, x);
    return pick((x > splat(-0.125f)) & (x < splat(0.125f)), near, far);
}

/* e^x for x <= 0 to about 3 ulp, faster than exp_: 2^t, t = x / ln 2 = k + f, |f| <= 1/2, and 2^f by the polynomial of
 * degree 5 with the least largest relative error. 0 where 2^t is too small for a float (without the instruction: for a
 * normal one). NaN stays NaN. */
INLINE vf exp_below(vf x)
{
#if defined(__AVX512F__)
    const vf t = max_(splat(-152.0f), x * splat(1.44269504f)); /* the result is 0 here already; -inf would leave no fraction */
    const vf k = (vf)_mm512_roundscale_ps((__m512)t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    const vf round_magic = splat(12582912.0f); /* as in exp_ */
    const vf below = x * splat(1.44269504f), t = max_(splat(-126.0f), below);
    const vf shifted = t + round_magic, k = shifted - round_magic;
#endif
    const vf f = t - k;
    vf p = splat(0.0013264727f);
    p = fma_(p, f, splat(0.009671513f));
    p = fma_(p, f, splat(0.055507336f));
    p = fma_(p, f, splat(0.24022242f));
    p = fma_(p, f, splat(0.693147f));
    p = fma_(p, f, splat(1.0f));
#if defined(__AVX512F__)
    return (vf)_mm512_scalef_ps((__m512)p, (__m512)k);
#else
    /* The low bits of `shifted` are k; 2^k is built from its exponent. */
    return pick(below < splat(-126.0f), (vf){0}, p * (vf)(((vu)shifted << 23) + 0x3f800000));
#endif
}

/* 2^t for t <= 0 to 3 millionths, faster still: a polynomial of degree 4. */
INLINE vf exp2_below(vf t)
{
#if defined(__AVX512F__)
    const vf f = (vf)_mm512_reduce_ps((__m512)t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); /* 0 <= f < 1 */
    vf p = splat(0.013534168f);
    p = fma_(p, f, splat(0.05201146f));
    p = fma_(p, f, splat(0.24144275f));
    p = fma_(p, f, splat(0.69300383f));
    p = fma_(p, f, splat(1.0000026f));
    return (vf)_mm512_scalef_ps((__m512)p, (__m512)t); /* applies the integer below t */
#else
    const vf round_magic = splat(12582912.0f); /* as in exp_ */
    const vf inside = max_(splat(-126.0f), t), shifted = inside + round_magic, f = inside - (shifted - round_magic);
    vf p = splat(0.009570102f);
    p = fma_(p, f, splat(0.05591786f));
    p = fma_(p, f, splat(0.24024744f));
    p = fma_(p, f, splat(0.6931218f));
    p = fma_(p, f, splat(0.9999993f));
    return pick(t < splat(-126.0f), (vf){0}, p * (vf)(((vu)shifted << 23) + 0x3f800000));
#endif
}

INLINE vf sigmoid_(vf x) { return splat(1.0f) / (splat(1.0f) + exp_(-x)); }

/* IEEE half to float and back (round to nearest, ties to even), without the instruction. */
INLINE float half_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    uint32_t bits;
    if (rest >= 0x7c00) bits = 0x7f800000 | (rest & 0x3ff) << 13; /* inf, NaN */
    else if (rest >= 0x400) bits = (rest << 13) + (112u << 23);
    else {
        float tiny = (float)rest * 5.9604644775390625e-8f; /* 2^-24 */
        memcpy(&bits, &tiny, 4);
    }
    bits |= sign;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

INLINE uint16_t float_to_half(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    const uint32_t sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    if (rest > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (rest >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and above round to infinity */
    if (rest < 0x38800000) { /* subnormal: let the float adder round at 2^-24 */
        float magnitude, half = 0.5f;
        memcpy(&magnitude, &rest, 4);
        magnitude += half;
        uint32_t rounded;
        memcpy(&rounded, &magnitude, 4);
        return (uint16_t)(sign | (rounded - 0x3f000000));
    }
    const uint32_t even = rest >> 13 & 1;
    return (uint16_t)(sign | ((rest + 0xfff + even - (112u << 23)) >> 13));
}

INLINE vf load_half(const uint16_t *p)
{
#if defined(__AVX512F__)
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
#elif defined(__AVX2__)
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const void *)p));
#elif defined(__aarch64__)
    return (vf)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
#else
    vf v;
    for (int i = 0; i < VW; i++) v[i] = half_to_float(p[i]);
    return v;
#endif
}

INLINE void store_half(uint16_t *p, vf v)
{
#if defined(__AVX512F__)
    _mm256_storeu_si256((void *)p, _mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__AVX2__)
    _mm_storeu_si128((void *)p, _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__aarch64__)
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)v)));
#else
    for (int i = 0; i < VW; i++) p[i] = float_to_half(v[i]);
#endif
}

#endif
