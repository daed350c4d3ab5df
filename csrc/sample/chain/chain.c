/* One token by a sampler's chain, from penalties to the draw. */
#include "sample/chain/chain.h"

#include <math.h>

#include "sample/chain/steps.h"

static bool changes_logits(uint8_t step) { return step == OXI_CHAIN_PENALTIES || step == OXI_CHAIN_DRY; }

/* Mirostat replaces all filters. */
static bool applies(const oxi_sampler *s, uint8_t step)
{
    return !s->params.mirostat || changes_logits(step) || step == OXI_CHAIN_TEMPERATURE;
}

static void apply(oxi_left *l, oxi_sampler *s, uint8_t step)
{
    const oxi_sampler_params *p = &s->params;
    switch ((oxi_chain_step)step) {
    case OXI_CHAIN_PENALTIES: oxi_apply_penalties(l, s); break;
    case OXI_CHAIN_DRY: oxi_apply_dry(l, s); break;
    case OXI_CHAIN_TEMPERATURE: oxi_apply_temperature(l, p); break;
    case OXI_CHAIN_TOP_N_SIGMA: oxi_keep_top_n_sigma(l, p); break;
    case OXI_CHAIN_TOP_K: oxi_keep_top_k(l, p); break;
    case OXI_CHAIN_TYPICAL_P: oxi_keep_typical(l, p); break;
    case OXI_CHAIN_TOP_P: oxi_keep_top_p(l, p); break;
    case OXI_CHAIN_MIN_P: oxi_keep_min_p(l, p); break;
    case OXI_CHAIN_TOP_A: oxi_keep_top_a(l, p); break;
    case OXI_CHAIN_EPSILON_CUTOFF: oxi_keep_epsilon(l, p); break;
    case OXI_CHAIN_ETA_CUTOFF: oxi_keep_eta(l, p); break;
    case OXI_CHAIN_XTC: oxi_drop_top_choices(l, p, &s->rng); break;
    case OXI_CHAIN_COUNT: break;
    }
}

bool oxi_sampler_draw(oxi_sampler *s, const oxi_vec *vec, const oxi_row *row, const oxi_choice *choice,
                      oxi_sample_scratch *scratch, int32_t *token)
{
    const oxi_sampler_params *p = &s->params;
    oxi_left left = oxi_left_of(vec, row, scratch);
    if (row->max == -INFINITY) return false;
    oxi_apply_mask(&left, choice->allowed);
    int32_t at = 0;
    for (; at < p->n_steps && changes_logits(p->steps[at]); at++) apply(&left, s, p->steps[at]);
    oxi_apply_bias(&left, s, choice->banned, choice->n_banned);
    for (; at < p->n_steps && !left.certain; at++) {
        if (left.row.max == -INFINITY) return false;
        if (applies(s, p->steps[at])) apply(&left, s, p->steps[at]);
    }
    if (left.row.max == -INFINITY) return false;
    size_t drawn = 0;
    if (!left.certain) drawn = p->mirostat ? oxi_draw_mirostat(&left, s) : oxi_left_draw(&left, oxi_rng_uniform(&s->rng));
    *token = oxi_left_id(&left, drawn);
    return true;
}
