/* Super-blocks without minima: x ~ (d * scale[g]) * level, with integer scales of either sign. As with minima, each
 * group is first fitted alone; then fitting groups (with d fixed) and fitting d (with all else fixed) alternate. */
#ifndef OXI_FIT_SCALED_H
#define OXI_FIT_SCALED_H

#include "quant/encode/encode.h"
#include "quant/encode/fit.h"
#include "quant/half.h"

enum { OXI_SCALED_TURNS = 2, OXI_SCALED_GROUPS = 16 };

/* d and scales from `least` to `most`, for 256 weights in `groups` groups. */
OXI_INLINE void oxi_fit_scaled(const float *x, const float *w, int groups, oxi_levels levels, float spread, int steps,
                               int least, int most, uint16_t *d, int8_t *scale)
{
    const int size = 256 / groups;
    float wanted[OXI_SCALED_GROUPS], weight[OXI_SCALED_GROUPS], xq, qq;
    for (int g = 0; g < groups; g++) {
        const float *gx = x + g * size, *gw = w + g * size;
        wanted[g] = oxi_fit_scale(gx, gw, size, levels, spread, steps);
        oxi_scale_sums(gx, gw, size, levels, wanted[g] != 0.0f ? 1.0f / wanted[g] : 0.0f, &xq, &qq);
        weight[g] = qq + 1e-9f;
    }
    const oxi_levels whole = {(float)least, (float)most, NULL};
    float unit = oxi_fit_scale(wanted, weight, groups, whole, (float)most / 8.0f, 8);
    float loss = INFINITY;
    int8_t now[OXI_SCALED_GROUPS] = {0};
    *d = 0;
    memset(scale, 0, (size_t)groups);
    for (int turn = 0; turn <= OXI_SCALED_TURNS; turn++) {
        const uint16_t half = oxi_scale_half(unit);
        const float df = oxi_half_float(half), inverse = df != 0.0f ? 1.0f / df : 0.0f;
        float sum = 0.0f, num = 0.0f, den = 0.0f;
        for (int g = 0; g < groups; g++) {
            const float *gx = x + g * size, *gw = w + g * size;
            const int middle = turn ? scale[g] : (int)oxi_round(oxi_clamp(wanted[g] * inverse, (float)least, (float)most));
            float lowest = INFINITY;
            for (int s = middle > least ? middle - 1 : least; s <= middle + 1 && s <= most; s++) {
                const float l = oxi_scale_loss(gx, gw, size, levels, df * (float)s);
                if (l < lowest) {
                    lowest = l;
                    now[g] = (int8_t)s;
                }
            }
            sum += lowest;
            const float s = (float)now[g], step = df * s;
            oxi_scale_sums(gx, gw, size, levels, step != 0.0f ? 1.0f / step : 0.0f, &xq, &qq);
            num += s * xq;
            den += s * s * qq;
        }
        if (!(sum < loss)) break;
        loss = sum;
        *d = half;
        memcpy(scale, now, (size_t)groups);
        if (!(den > 0.0f)) break;
        unit = num / den;
    }
}

/* The codes of one group: levels shifted so that they begin at zero, or the table's codes. */
OXI_INLINE void oxi_scaled_codes(const float *x, int size, oxi_levels levels, uint16_t d, int scale, uint8_t *code)
{
    const float step = oxi_half_float(d) * (float)scale, inverse = step != 0.0f ? 1.0f / step : 0.0f;
    for (int i = 0; i < size; i++) {
        const float t = oxi_clamp(x[i] * inverse, levels.low, levels.high);
        code[i] = levels.table ? levels.table->code[(int)((t + 128.0f) * 2.0f)] : (uint8_t)(int)(oxi_round(t) - levels.low);
    }
}

#endif
