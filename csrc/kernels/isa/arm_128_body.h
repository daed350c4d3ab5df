/* Shared by the Arm isas: NEON with the dot product of signed bytes. All codes fit signed bytes once 8-bit ones lose
 * their offset. */
#include <arm_neon.h>

#define VB 16
#define SIGNED_BYTES 1
#define WIDE_SUMS 1
#include "kernels/gemm/types_body.h"

static inline v_i32 dot4(v_i32 sum, v_u8 w, v_i32 x, int bits)
{
    (void)bits;
    return (v_i32)vdotq_s32((int32x4_t)sum, (int8x16_t)w, (int8x16_t)x);
}

static inline v_i32 dot2(v_i32 sum, v_i16 a, v_i16 b)
{
    const int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y)), high = vmull_high_s16(x, y);
    return sum + (v_i32)vpaddq_s32(low, high);
}

static inline v_f32 multiply_add(v_f32 a, v_f32 b, v_f32 c)
{
    return (v_f32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}

static inline v_f32 from_halves(v_half_u16 v) { return (v_f32)vcvt_f32_f16(vreinterpret_f16_u16((uint16x4_t)v)); }

static inline uint8x8_t low_bytes(v_lanes v)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &v, 4);
    return vcreate_u8(bits);
}

static inline v_i32 widen_u8(v_lanes v) { return (v_i32)vmovl_u16(vget_low_u16(vmovl_u8(low_bytes(v)))); }
static inline v_i32 widen_i8(v_lanes v)
{
    return (v_i32)vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(low_bytes(v)))));
}
static inline v_i16 widen_pairs(v_half v) { return (v_i16)vmovl_u8((uint8x8_t)v); }

static inline v_u8 lookup(v_u8 table, v_u8 index) { return (v_u8)vqtbl1q_u8((uint8x16_t)table, (uint8x16_t)index); }
