/* Half and bfloat16 values as bit patterns, converted without the processor's instructions: every build gives the same
 * bits. */
#ifndef OXI_HALF_H
#define OXI_HALF_H

#include <stdint.h>
#include <string.h>

static inline float oxi_bits_float(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t oxi_float_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* IEEE 754 binary16 to binary32: exact for every pattern; a NaN keeps its payload. Branch-free, so that loops over it
 * vectorise: a subnormal half is the subnormal pattern of a float with bias 126, less the bits of 0.5. */
static inline float oxi_half_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, body = h & 0x7fffu;
    const uint32_t special = body >= 0x7c00u ? (255u - 31u) << 23 : (127u - 15u) << 23;
    const uint32_t normal = (body << 13) + special;
    const uint32_t small = oxi_float_bits(oxi_bits_float((126u << 23) + body) - 0.5f);
    return oxi_bits_float(sign | (body < 0x0400u ? small : normal));
}

/* binary32 to binary16, to nearest, ties to even. Overflow gives infinity; a NaN stays a NaN. */
static inline uint16_t oxi_float_half(float f)
{
    const uint32_t bits = oxi_float_bits(f), body = bits & 0x7fffffffu;
    const uint32_t sign = (bits >> 16) & 0x8000u;
    if (body > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | ((body >> 13) & 0x3ffu));
    if (body >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and more */
    if (body < 0x38800000u) /* below 2^-14: let the addition round to the last bit of a subnormal half */
        return (uint16_t)(sign | (oxi_float_bits(oxi_bits_float(body) + 0.5f) - (126u << 23)));
    return (uint16_t)(sign | ((body + 0xfffu + ((body >> 13) & 1u) - ((127u - 15u) << 23)) >> 13));
}

static inline float oxi_bf16_float(uint16_t b) { return oxi_bits_float((uint32_t)b << 16); }

/* Round to nearest, ties to even; a NaN becomes a quiet NaN. */
static inline uint16_t oxi_float_bf16(float f)
{
    const uint32_t bits = oxi_float_bits(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((bits >> 16) | 64u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/* Files are little-endian, and so are all machines that this is built for. */
static inline uint16_t oxi_read_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

#endif
