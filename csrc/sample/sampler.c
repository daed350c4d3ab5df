/* The sampler chain up to the draw: its parameters, and what it changes in a row of logits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sample/sampler.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

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
    bool ok = true;
    if (n_bias > 0) {
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

/* Copy the logits of allowed tokens, and put -inf in the places of the others. A grammar mostly allows nearly all tokens
 * or very few, so whole words of the mask are alike. A block without an allowed token is marked in `touched`. */
static void copy_allowed(float *x, const oxi_row *row, const uint32_t *allowed, uint8_t *touched)
{
    for (size_t word = 0; word * 32 < row->n; word++) {
        const size_t start = word * 32, count = row->n - start < 32 ? row->n - start : 32;
        const uint32_t bits = allowed[word];
        if (bits == UINT32_MAX) {
            memcpy(x + start, row->x + start, count * sizeof *x);
            continue;
        }
        touched[start / OXI_LOGIT_BLOCK] = 1;
        for (size_t i = 0; i < count; i++) x[start + i] = bits >> i & 1 ? row->x[start + i] : -INFINITY;
    }
}

oxi_row oxi_sampler_changed(const oxi_sampler *s, const oxi_vec *vec, const oxi_row *row, const oxi_choice *choice,
                            oxi_sample_scratch *scratch)
{
    const int32_t *banned = choice->banned;
    const size_t n_banned = choice->n_banned;
    if (!s->history.n && !s->n_bias && !n_banned && !choice->allowed) return *row;
    const oxi_sampler_params *p = &s->params;
    const size_t n_blocks = oxi_blocks(row->n);
    float *x = scratch->changed;
    memset(scratch->touched, 0, n_blocks);
    if (choice->allowed) copy_allowed(x, row, choice->allowed, scratch->touched);
    else memcpy(x, row->x, row->n * sizeof *x);
    for (size_t i = 0; i < s->history.n; i++) {
        const int32_t id = s->history.ids[i];
        const float changed = x[id] > 0 ? x[id] / p->repeat_penalty : x[id] * p->repeat_penalty;
        x[id] = or_least(changed - ((float)s->history.counts[i] * p->frequency_penalty + p->presence_penalty));
        scratch->touched[id / OXI_LOGIT_BLOCK] = 1;
    }
    for (size_t i = 0; i < s->n_bias; i++) {
        x[s->bias_ids[i]] = or_least(x[s->bias_ids[i]] + s->bias[i]);
        scratch->touched[s->bias_ids[i] / OXI_LOGIT_BLOCK] = 1;
    }
    for (size_t i = 0; i < n_banned; i++) {
        x[banned[i]] = -INFINITY;
        scratch->touched[banned[i] / OXI_LOGIT_BLOCK] = 1;
    }
    for (size_t b = 0; b < n_blocks; b++) {
        const size_t start = b * OXI_LOGIT_BLOCK;
        const int64_t count = (int64_t)(oxi_block_end(row->n, b) - start);
        if (scratch->touched[b]) vec->block_maxima(x + start, count, &scratch->changed_maxima[b]);
        else scratch->changed_maxima[b] = row->maxima[b];
    }
    return oxi_row_of(x, row->n, scratch->changed_maxima);
}
