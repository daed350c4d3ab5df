#include <math.h>

#include "sample/chain/steps.h"
#include "sample/portable.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

enum { M = 100 }; /* the paper's: how many of the most likely tokens the exponent is estimated from */

/* How many of the most likely tokens version 1 keeps: equations 30 and 2. Their probabilities are taken to fall as
 * 1 / rank^s, and s is the least-squares slope of ln p over ln rank. */
static size_t size_for(const oxi_left *l, double mu)
{
    const size_t n = l->row.n, m = n < M ? n : M;
    oxi_candidate *c = l->scratch->candidates;
    oxi_row_top(&l->row, c, m);
    double products = 0, squares = 0;
    for (size_t i = 0; i + 1 < m && c[i + 1].value > -INFINITY && c[i].value < INFINITY; i++) {
        const double t = oxi_ln((double)(i + 2) / (double)(i + 1));
        products += t * ((double)c[i].value - c[i + 1].value) / l->temperature;
        squares += t * t;
    }
    if (!(squares > 0)) return 1;
    const double s = products / squares, epsilon = s - 1, ln_n = oxi_ln((double)n);
    /* epsilon / (1 - n^-epsilon), which is 1 / ln n at 0 */
    const double factor = fabs(epsilon) < 1e-9 ? 1 / ln_n : epsilon / (1 - oxi_exp(-epsilon * ln_n));
    const double ln_base = oxi_ln(factor) + mu * OXI_LN_2;
    if (!(ln_base > 0)) return 1;
    const double ln_k = ln_base / s; /* s 0: all are equally likely */
    return ln_k < ln_n ? (size_t)oxi_exp(ln_k) : n;
}

size_t oxi_draw_mirostat(oxi_left *l, oxi_sampler *s)
{
    oxi_left_weigh(l);
    const double total = l->total;
    if (s->params.mirostat == 1) {
        const size_t k = size_for(l, s->mu);
        if (k < l->row.n) oxi_left_keep_top(l, k ? k : 1);
    } else {
        const double least = total * oxi_exp(-s->mu * OXI_LN_2); /* a surprise of mu bits; the best token stays */
        oxi_left_keep_weights(l, (oxi_candidate){least < 1 ? (float)least : 1.0f, INT32_MAX});
    }
    const size_t at = oxi_left_draw(l, oxi_rng_uniform(&s->rng));
    /* The surprise under the model's distribution, as the paper and its authors' code have it. */
    const double surprise = (oxi_ln(total) - oxi_ln(l->scratch->weights[at])) / OXI_LN_2;
    s->mu -= s->params.mirostat_eta * (surprise - s->params.mirostat_tau);
    return at;
}
