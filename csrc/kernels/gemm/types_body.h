/* The vector types that an instruction-set file and the parts of vector.h share, and the operations on them that need no
 * intrinsics. VB: bytes of a register. */
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

typedef uint8_t v_u8 __attribute__((vector_size(VB)));
typedef uint16_t v_u16 __attribute__((vector_size(VB)));
typedef int16_t v_i16 __attribute__((vector_size(VB)));
typedef int32_t v_i32 __attribute__((vector_size(VB)));
typedef int64_t v_i64 __attribute__((vector_size(VB)));
typedef float v_f32 __attribute__((vector_size(VB)));

#define LANES (VB / 4)

typedef uint8_t v_lanes __attribute__((vector_size(LANES))); /* a byte per lane */
typedef uint16_t v_lanes_u16 __attribute__((vector_size(LANES)));
typedef uint8_t v_half __attribute__((vector_size(VB / 2))); /* two bytes per lane */
typedef uint16_t v_half_u16 __attribute__((vector_size(VB / 2)));

/* Keep a vector in a register: otherwise the compiler would read memory again. */
#if defined(__AVX512F__)
#define HOLD(v) __asm__("" : "+v"(v))
#elif defined(__x86_64__)
#define HOLD(v) __asm__("" : "+x"(v))
#else
#define HOLD(v) __asm__("" : "+w"(v))
#endif

INLINE v_u8 load_u8(const void *p)
{
    v_u8 v;
    memcpy(&v, p, VB);
    return v;
}

typedef uint8_t v_u8_anywhere __attribute__((vector_size(VB), aligned(1), may_alias));

/* The compiler keeps the order of such loads. A processor that prefetches ascending lines (Zen 4) reads less than half as
 * much in another order. */
INLINE v_u8 load_in_order(const void *p) { return (v_u8) * (const volatile v_u8_anywhere *)p; }

INLINE v_lanes load_lanes(const void *p)
{
    v_lanes v;
    memcpy(&v, p, LANES);
    return v;
}

INLINE v_half load_halves(const void *p)
{
    v_half v;
    memcpy(&v, p, VB / 2);
    return v;
}

INLINE v_f32 load_f32(const void *p) { return (v_f32)load_u8(p); }
INLINE void store_f32(float *p, v_f32 v) { memcpy(p, &v, VB); }

/* The four bytes at p in every lane. */
INLINE v_i32 every_lane(const void *p)
{
    int32_t x;
    memcpy(&x, p, 4);
    return x - (v_i32){0};
}

INLINE v_i32 every_int(int32_t x) { return x - (v_i32){0}; }
INLINE v_f32 every_f32(float x) { return x - (v_f32){0}; }
INLINE v_f32 to_float(v_i32 v) { return __builtin_convertvector(v, v_f32); }

/* Keep a sum in the order it is written: the compiler would otherwise reorder integer additions and hold all the
 * products. */
INLINE v_i32 in_turn(v_i32 sum)
{
    HOLD(sum);
    return sum;
}

#if WIDE_SUMS
INLINE v_i32 widen(v_i32 sum, v_i32 narrow) { return sum + narrow; }
#endif
