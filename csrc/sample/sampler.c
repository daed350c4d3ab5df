/* The sampler chain. Every filter keeps a prefix of the tokens in the order "larger logit first, equal ones by lower
 * id". So each filter is a cut in that order, and only the tokens near its cut need sorting. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sample/history.h"
#include "oxillama.h"
#include "sample/rng.h"
#include "sample/select.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

struct oxi_sampler {
    oxi_sampler_params params;
    oxi_rng rng;
    bool penalised;
    oxi_history history;
    int32_t *bias_ids;
    float *bias;
    size_t n_bias;
    float *logits;             /* [n_vocab] after penalties, bias and bans */
    float *weights;            /* [n_vocab] exp of the logits; only for a temperature above 0 */
    oxi_candidate *candidates; /* [n_vocab], or [top_k] if that is less; only for a temperature above 0 */
};

oxi_status oxi_sampler_open(oxi_sampler **out, const oxi_sampler_params *params, const int32_t *bias_ids,
                            const float *bias, size_t n_bias, oxi_error *err)
{
    *out = NULL;
    const oxi_sampler_params p = *params;
    if (p.n_vocab <= 0) return oxi_fail(err, OXI_ERR_ARGUMENT, "sampler: a vocabulary of %d tokens", p.n_vocab);
    if (!(p.temperature >= 0 && p.top_k >= 0 && p.top_p >= 0 && p.min_p >= 0 && p.repeat_penalty > 0 &&
          isfinite(p.repeat_penalty) && p.repeat_last_n >= -1 && isfinite(p.frequency_penalty) &&
          isfinite(p.presence_penalty)))
        return oxi_fail(err, OXI_ERR_ARGUMENT, "sampler: a parameter is negative, infinite or not a number");
    for (size_t i = 0; i < n_bias; i++) {
        if (bias_ids[i] < 0 || bias_ids[i] >= p.n_vocab)
            return oxi_fail(err, OXI_ERR_ARGUMENT, "logit_bias: token id %d is not between 0 and %d", bias_ids[i],
                            p.n_vocab - 1);
        if (!isfinite(bias[i])) return oxi_fail(err, OXI_ERR_ARGUMENT, "logit_bias.%d is not finite", bias_ids[i]);
    }

    oxi_sampler *s = calloc(1, sizeof *s);
    if (!s) return oxi_fail(err, OXI_ERR_NOMEM, "sampler: out of memory");
    s->params = p;
    s->penalised = p.repeat_last_n != 0 && (p.repeat_penalty != 1 || p.frequency_penalty != 0 || p.presence_penalty != 0);
    oxi_rng_seed(&s->rng, p.seed);
    const size_t n = (size_t)p.n_vocab;
    const size_t n_candidates = p.top_k > 0 && p.top_k < p.n_vocab ? (size_t)p.top_k : n;
    bool ok = (s->logits = malloc(n * sizeof *s->logits)) != NULL;
    if (ok && p.temperature > 0)
        ok = (s->weights = malloc(n * sizeof *s->weights)) && (s->candidates = malloc(n_candidates * sizeof *s->candidates));
    if (ok && n_bias > 0) {
        ok = (s->bias_ids = malloc(n_bias * sizeof *bias_ids)) && (s->bias = malloc(n_bias * sizeof *bias));
        if (ok) {
            memcpy(s->bias_ids, bias_ids, n_bias * sizeof *bias_ids);
            memcpy(s->bias, bias, n_bias * sizeof *bias);
            s->n_bias = n_bias;
        }
    }
    oxi_status status = ok ? OXI_OK : oxi_fail(err, OXI_ERR_NOMEM, "sampler: out of memory");
    if (status == OXI_OK && s->penalised) status = oxi_history_open(&s->history, p.n_vocab, p.repeat_last_n, err);
    if (status == OXI_OK) *out = s;
    else oxi_sampler_close(&s);
    return status;
}

void oxi_sampler_close(oxi_sampler **sampler)
{
    oxi_sampler *s = *sampler;
    *sampler = NULL;
    if (!s) return;
    oxi_history_close(&s->history);
    free(s->bias_ids);
    free(s->bias);
    free(s->logits);
    free(s->weights);
    free(s->candidates);
    free(s);
}

oxi_status oxi_sampler_accept(oxi_sampler *s, int32_t token, oxi_error *err)
{
    if (token < 0 || token >= s->params.n_vocab)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "token id %d is not between 0 and %d", token, s->params.n_vocab - 1);
    return s->penalised ? oxi_history_add(&s->history, token, err) : OXI_OK;
}

/* NaN counts as -inf, whatever its source: for example an infinite penalty on a logit of 0 or of the other infinity. */
static float or_least(float x) { return x == x ? x : -INFINITY; }

/* Fill s->logits. None of them is NaN, since the next steps compare them. */
static void prepare(oxi_sampler *s, const float *logits, const int32_t *banned, size_t n_banned)
{
    const oxi_sampler_params *p = &s->params;
    float *x = s->logits;
    for (size_t i = 0; i < (size_t)p->n_vocab; i++) x[i] = or_least(logits[i]);
    for (size_t i = 0; i < s->history.n; i++) {
        float *logit = &x[s->history.ids[i]];
        const float changed = *logit > 0 ? *logit / p->repeat_penalty : *logit * p->repeat_penalty;
        *logit = or_least(changed - ((float)s->history.counts[i] * p->frequency_penalty + p->presence_penalty));
    }
    for (size_t i = 0; i < s->n_bias; i++) x[s->bias_ids[i]] = or_least(x[s->bias_ids[i]] + s->bias[i]);
    for (size_t i = 0; i < n_banned; i++) x[banned[i]] = -INFINITY;
}

/* How many of the n best-first weights top-p keeps: the fewest whose sum reaches `wanted`. */
static size_t nucleus(const oxi_candidate *c, size_t n, double wanted)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        if ((sum += c[i].value) >= wanted) return i + 1;
    return n;
}

/* top-k leaves few candidates: sort them and cut the list from its end. */
static int32_t draw_from_few(oxi_sampler *s, float max)
{
    const oxi_sampler_params *p = &s->params;
    oxi_candidate *c = s->candidates;
    size_t n = (size_t)p->top_k;
    oxi_top(s->logits, (size_t)p->n_vocab, c, n);
    for (size_t i = 0; i < n; i++) s->logits[i] = c[i].value; /* the logits are no longer needed: reuse them */
    const double total = oxi_weights(s->logits, n, max, p->temperature, s->weights);
    for (size_t i = 0; i < n; i++) c[i].value = s->weights[i];
    if (p->top_p < 1) n = nucleus(c, n, (double)p->top_p * total);
    while (n > 1 && c[n - 1].value < p->min_p) n--; /* the best weighs exactly 1 */
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += c[i].value;
    double left = oxi_rng_uniform(&s->rng) * sum;
    for (size_t i = 0; i < n; i++)
        if ((left -= c[i].value) < 0) return c[i].id;
    return c[0].id; /* rounding used up the remainder */
}

/* The worst candidate that top-p keeps. Weights are bucketed by their leading bits into eighths of an octave; only the
 * bucket that contains the cut is ordered. */
static oxi_candidate nucleus_cut(oxi_sampler *s, double wanted)
{
    enum { SHIFT = 20, N_BUCKETS = (0x3f800000 >> SHIFT) + 1 }; /* up to the weight 1.0f */
    double sums[N_BUCKETS] = {0};
    const size_t n_vocab = (size_t)s->params.n_vocab;
    for (size_t i = 0; i < n_vocab; i++) {
        uint32_t bits;
        memcpy(&bits, &s->weights[i], sizeof bits);
        sums[bits >> SHIFT] += s->weights[i];
    }
    size_t bucket = N_BUCKETS - 1;
    double sum = 0;
    while (bucket > 0 && sum + sums[bucket] < wanted) sum += sums[bucket--];
    oxi_candidate *c = s->candidates;
    size_t n = 0;
    for (size_t i = 0; i < n_vocab; i++) {
        uint32_t bits;
        memcpy(&bits, &s->weights[i], sizeof bits);
        if (bits >> SHIFT == bucket) c[n++] = (oxi_candidate){s->weights[i], (int32_t)i};
    }
    oxi_candidate cut = {0, INT32_MAX};
    oxi_heapify_best(c, n);
    for (; n > 0; n--) {
        cut = c[0];
        if ((sum += cut.value) >= wanted) break;
        oxi_pop_best(c, n);
    }
    return cut;
}

static int32_t draw_from_all(oxi_sampler *s, float max)
{
    const oxi_sampler_params *p = &s->params;
    const size_t n = (size_t)p->n_vocab;
    double total = oxi_weights(s->logits, n, max, p->temperature, s->weights);
    if (p->top_p < 1 || p->min_p > 0) {
        const float least = p->min_p < 1 ? p->min_p : 1.0f;
        oxi_candidate cut = {least, INT32_MAX};
        if (p->top_p < 1) {
            const oxi_candidate by_mass = nucleus_cut(s, (double)p->top_p * total);
            if (oxi_better(by_mass, cut)) cut = by_mass;
        }
        total = 0;
        for (size_t i = 0; i < n; i++) {
            if (oxi_better(cut, (oxi_candidate){s->weights[i], (int32_t)i})) s->weights[i] = 0;
            total += s->weights[i];
        }
    }
    double left = oxi_rng_uniform(&s->rng) * total;
    size_t last = 0;
    for (size_t i = 0; i < n; i++) {
        if (s->weights[i] == 0) continue;
        last = i;
        if ((left -= s->weights[i]) < 0) break;
    }
    return (int32_t)last;
}

oxi_status oxi_sampler_sample(oxi_sampler *s, const float *logits, const int32_t *banned, size_t n_banned,
                              int32_t *token, oxi_error *err)
{
    const size_t n = (size_t)s->params.n_vocab;
    for (size_t i = 0; i < n_banned; i++)
        if (banned[i] < 0 || banned[i] >= s->params.n_vocab)
            return oxi_fail(err, OXI_ERR_ARGUMENT, "banned token id %d is not between 0 and %d", banned[i],
                            s->params.n_vocab - 1);
    prepare(s, logits, banned, n_banned);
    const float max = oxi_max(s->logits, n);
    if (max == -INFINITY)
        return oxi_fail(err, OXI_ERR_NUMERIC, "no token is left to choose: every logit is NaN, -inf or banned");
    if (s->params.temperature == 0) {
        size_t best = 0;
        while (s->logits[best] != max) best++;
        *token = (int32_t)best;
    } else if (s->params.top_k > 0 && s->params.top_k < s->params.n_vocab) {
        *token = draw_from_few(s, max);
    } else {
        *token = draw_from_all(s, max);
    }
    return OXI_OK;
}
