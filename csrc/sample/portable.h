/* Logarithm and exponential in float64 from single operations, so that every C library gives the same tokens. */
#ifndef OXI_PORTABLE_H
#define OXI_PORTABLE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define OXI_LN_2 0.69314718055994530942

/* ln x for x > 0, to about 2 units in the last place: x = m * 2^k with m near 1, ln m = 2 atanh((m - 1) / (m + 1)). */
static inline double oxi_ln(double x)
{
    int k;
    double m = frexp(x, &k);
    if (m < 0.70710678118654752440) {
        m *= 2;
        k--;
    }
    const double s = (m - 1) / (m + 1), square = s * s;
    double sum = 0;
    for (int i = 21; i >= 1; i -= 2) sum = sum * square + 1.0 / i;
    return k * OXI_LN_2 + 2 * s * sum;
}

/* exp x, to about 2 units in the last place for results that are neither subnormal nor infinite: 2^k times the series of
 * the rest. */
static inline double oxi_exp(double x)
{
    if (!(x > -700)) return 0;
    if (x > 700) return INFINITY;
    const double k = nearbyint(x / OXI_LN_2), rest = x - k * 6.93147180369123816490e-01 - k * 1.90821492927058770002e-10;
    double sum = 1;
    for (int i = 14; i >= 1; i--) sum = sum * rest / i + 1;
    return ldexp(sum, (int)k);
}

#endif
