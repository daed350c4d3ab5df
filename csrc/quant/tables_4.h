/* The values and small floats of the formats in tables_4.c. */
#ifndef OXI_TABLES_4_H
#define OXI_TABLES_4_H

#include "quant/half.h"

extern const int8_t oxi_values_nl[16], oxi_values_e2m1[16];

/* 2^(e - 128): half of E8M0's value, since the table holds twice the values. The two smallest are subnormal. */
static inline float oxi_half_of_e8m0(uint8_t e) { return oxi_bits_float(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23); }

/* Half of an unsigned float with four bits of exponent (bias 7) and three of mantissa; 0x7f, its NaN, counts as zero. */
static inline float oxi_half_of_ue4m3(uint8_t v)
{
    const int e = (v >> 3) & 15, m = v & 7;
    if (v == 0 || v == 0x7f) return 0.0f;
    if (e == 0) return (float)m * 0x1p-10f;
    return (float)(8 + m) * oxi_bits_float((uint32_t)(127 + e - 11) << 23);
}

#endif
