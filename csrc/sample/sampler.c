#include "sample/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const STEP_NAMES[OXI_CHAIN_COUNT] = {
    [OXI_CHAIN_PENALTIES] = "penalties",
    [OXI_CHAIN_DRY] = "dry",
    [OXI_CHAIN_TEMPERATURE] = "temperature",
    [OXI_CHAIN_TOP_N_SIGMA] = "top_n_sigma",
    [OXI_CHAIN_TOP_K] = "top_k",
    [OXI_CHAIN_TYPICAL_P] = "typical_p",
    [OXI_CHAIN_TOP_P] = "top_p",
    [OXI_CHAIN_MIN_P] = "min_p",
    [OXI_CHAIN_TOP_A] = "top_a",
    [OXI_CHAIN_EPSILON_CUTOFF] = "epsilon_cutoff",
    [OXI_CHAIN_ETA_CUTOFF] = "eta_cutoff",
    [OXI_CHAIN_XTC] = "xtc",
};

const char *oxi_chain_step_name(int32_t step) { return step >= 0 && step < OXI_CHAIN_COUNT ? STEP_NAMES[step] : NULL; }

static oxi_status check(const oxi_sampler_params *p, oxi_error *err)
{
    if (p->n_vocab <= 0) return oxi_fail(err, OXI_ERR_ARGUMENT, "sampler: a vocabulary of %d tokens", p->n_vocab);
    const bool ok = p->temperature >= 0 && p->top_k >= 0 && p->top_p >= 0 && p->min_p >= 0 && p->repeat_penalty > 0 &&
                    isfinite(p->repeat_penalty) && p->repeat_last_n >= -1 && isfinite(p->frequency_penalty) &&
                    isfinite(p->presence_penalty) && p->dry_multiplier >= 0 && isfinite(p->dry_multiplier) &&
                    p->dry_base >= 1 && isfinite(p->dry_base) && p->dry_allowed_length >= 0 &&
                    p->dry_penalty_last_n >= -1 && p->dynatemp_range >= 0 && isfinite(p->dynatemp_range) &&
                    p->dynatemp_exponent >= 0 && isfinite(p->dynatemp_exponent) && p->top_n_sigma >= 0 &&
                    isfinite(p->top_n_sigma) && p->typical_p >= 0 && p->top_a >= 0 && p->epsilon_cutoff >= 0 &&
                    p->eta_cutoff >= 0 && p->xtc_probability >= 0 && p->xtc_threshold >= 0 && p->mirostat >= 0 &&
                    p->mirostat <= 2 && p->mirostat_tau >= 0 && isfinite(p->mirostat_tau) && p->mirostat_eta >= 0 &&
                    isfinite(p->mirostat_eta);
    if (!ok) return oxi_fail(err, OXI_ERR_ARGUMENT, "sampler: a parameter is negative, infinite or not a number");
    unsigned seen = 0;
    if (p->n_steps < 0 || p->n_steps > OXI_CHAIN_COUNT)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "sampler: %d steps of %d", p->n_steps, OXI_CHAIN_COUNT);
    for (int32_t i = 0; i < p->n_steps; i++) {
        if (p->steps[i] >= OXI_CHAIN_COUNT || seen & 1u << p->steps[i])
            return oxi_fail(err, OXI_ERR_ARGUMENT, "sampler: step %d is unknown or there twice", p->steps[i]);
        seen |= 1u << p->steps[i];
    }
    return OXI_OK;
}

oxi_status oxi_sampler_open(oxi_sampler **out, const oxi_sampler_params *params, const int32_t *bias_ids,
                            const float *bias, size_t n_bias, oxi_error *err)
{
    *out = NULL;
    oxi_status status = check(params, err);
    if (status != OXI_OK) return status;
    const oxi_sampler_params p = *params;
    for (size_t i = 0; i < n_bias; i++) {
        if (bias_ids[i] < 0 || bias_ids[i] >= p.n_vocab)
            return oxi_fail(err, OXI_ERR_ARGUMENT, "logit_bias: token id %d is not between 0 and %d", bias_ids[i],
                            p.n_vocab - 1);
        if (!(bias[i] < INFINITY)) return oxi_fail(err, OXI_ERR_ARGUMENT, "logit_bias.%d is not below infinity", bias_ids[i]);
    }

    oxi_sampler *s = calloc(1, sizeof *s);
    if (!s) return oxi_fail(err, OXI_ERR_NOMEM, "sampler: out of memory");
    s->params = p;
    s->penalised = p.repeat_last_n != 0 && (p.repeat_penalty != 1 || p.frequency_penalty != 0 || p.presence_penalty != 0);
    s->dries = p.dry_multiplier > 0 && p.dry_penalty_last_n != 0;
    s->mu = 2 * (double)p.mirostat_tau;
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
    if (!ok) status = oxi_fail(err, OXI_ERR_NOMEM, "sampler: out of memory");
    if (status == OXI_OK && s->penalised) status = oxi_history_open(&s->history, p.n_vocab, p.repeat_last_n, err);
    if (status == OXI_OK && s->dries) status = oxi_dry_open(&s->dry, &s->params, err);
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
    oxi_dry_close(&s->dry);
    free(s->bias_ids);
    free(s->bias);
    free(s);
}

oxi_status oxi_sampler_accept(oxi_sampler *s, int32_t token, bool breaks, oxi_error *err)
{
    if (token < 0 || token >= s->params.n_vocab)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "token id %d is not between 0 and %d", token, s->params.n_vocab - 1);
    oxi_status status = s->penalised ? oxi_history_add(&s->history, token, err) : OXI_OK;
    if (status == OXI_OK && s->dries) status = oxi_dry_add(&s->dry, token, breaks, err);
    return status;
}
