/* The steps of a sampler chain. Each changes what is left of a row, of which at least one token stays. */
#ifndef OXI_STEPS_H
#define OXI_STEPS_H

#include "sample/chain/left.h"
#include "sample/sampler.h"

/* changes.c: logits that depend on earlier tokens, on the request, or on neither. */

/* Leave out the tokens that are not allowed; `allowed` as in oxi_choice. Only while all tokens are left. Afterwards, and
 * after penalties, the row's maximum may be -inf. */
void oxi_apply_mask(oxi_left *l, const uint32_t *allowed);
/* Repetition, frequency and presence penalties. */
void oxi_apply_penalties(oxi_left *l, const oxi_sampler *s);
/* See dry.h. */
void oxi_apply_dry(oxi_left *l, oxi_sampler *s);
/* Bias, and bans of tokens. Only while all tokens are left. Afterwards the row's maximum may be -inf. */
void oxi_apply_bias(oxi_left *l, const oxi_sampler *s, const int32_t *banned, size_t n_banned);

/* temperature.c */

void oxi_apply_temperature(oxi_left *l, const oxi_sampler_params *p);

/* filters.c: p is a token's probability among those that are left, at the temperature so far. */

/* The k tokens of the largest logits. */
void oxi_keep_top_k(oxi_left *l, const oxi_sampler_params *p);
/* The fewest most likely tokens whose probabilities reach top_p. Holtzman et al. 2020, arXiv:1904.09751. */
void oxi_keep_top_p(oxi_left *l, const oxi_sampler_params *p);
/* p >= min_p * max p. Nguyen et al. 2024, arXiv:2407.01082. */
void oxi_keep_min_p(oxi_left *l, const oxi_sampler_params *p);
/* p >= top_a * (max p)^2. BlinkDL, RWKV-LM. */
void oxi_keep_top_a(oxi_left *l, const oxi_sampler_params *p);
/* p >= epsilon. Hewitt et al. 2022, arXiv:2210.15191. */
void oxi_keep_epsilon(oxi_left *l, const oxi_sampler_params *p);
/* p >= min(eta, sqrt(eta) exp(-entropy)). The same paper, whose epsilon is our eta. */
void oxi_keep_eta(oxi_left *l, const oxi_sampler_params *p);
/* Logits of at least max - n sigma, their standard deviation. Tang et al. 2024, arXiv:2411.07641. */
void oxi_keep_top_n_sigma(oxi_left *l, const oxi_sampler_params *p);
/* The fewest tokens whose probabilities reach typical_p, those first whose surprise -ln p is nearest to the entropy; all
 * of equal distance. Meister et al. 2023, arXiv:2202.00666. */
void oxi_keep_typical(oxi_left *l, const oxi_sampler_params *p);
/* XTC ("exclude top choices"): with xtc_probability, drop all tokens with p >= xtc_threshold but the least likely of them.
 * p-e-w (text-generation-webui, pull request 6335). Takes one random number. */
void oxi_drop_top_choices(oxi_left *l, const oxi_sampler_params *p, oxi_rng *rng);

/* mirostat.c: truncate and draw so that the surprise of the tokens is tau on average. Returns the drawn position. Basu et
 * al. 2021, arXiv:2007.14966. */
size_t oxi_draw_mirostat(oxi_left *l, oxi_sampler *s);

#endif
