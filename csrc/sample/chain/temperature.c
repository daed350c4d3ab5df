#include <math.h>

#include "sample/chain/steps.h"
#include "sample/portable.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

/* Keep the most likely token alone. */
static void keep_best(oxi_left *l)
{
    const int32_t at = oxi_row_best(&l->row);
    l->scratch->ids[0] = oxi_left_id(l, (size_t)at);
    l->scratch->x[0] = l->row.max;
    l->scratch->x_maxima[0] = l->row.max;
    l->ids = l->scratch->ids;
    l->row.x = l->scratch->x;
    l->row.maxima = l->scratch->x_maxima;
    l->row.n = 1;
    l->certain = true;
}

static size_t possible(const oxi_left *l)
{
    if (!(l->row.max < INFINITY)) return 1;
    double count, sum, squares;
    l->vec->moments(l->row.x, (int64_t)l->row.n, l->row.max, &count, &sum, &squares);
    return (size_t)count;
}

/* With a range, the entropy chooses the temperature: temperature - range where one token is certain, temperature + range
 * where all tokens that are left are equally likely, and between them by (entropy / largest entropy)^exponent. From
 * kalomaze's definition (koboldcpp, text-generation-webui, llama.cpp). */
void oxi_apply_temperature(oxi_left *l, const oxi_sampler_params *p)
{
    double temperature = p->temperature;
    if (p->dynatemp_range > 0) {
        const size_t n = possible(l);
        if (n < 2) return;
        const double low = temperature > p->dynatemp_range ? temperature - p->dynatemp_range : 0;
        const double high = temperature + p->dynatemp_range;
        const double share = oxi_left_entropy(l) / oxi_ln((double)n);
        const double power = share > 0 ? oxi_exp(p->dynatemp_exponent * oxi_ln(share)) : p->dynatemp_exponent > 0 ? 0 : 1;
        temperature = low + (high - low) * power;
    }
    if (!(temperature > 0)) {
        keep_best(l);
        return;
    }
    l->temperature = (float)temperature;
    oxi_left_change(l);
}
