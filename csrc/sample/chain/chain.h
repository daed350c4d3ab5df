#ifndef OXI_CHAIN_H
#define OXI_CHAIN_H

#include "sample/chain/left.h"
#include "sample/sampler.h"

/* Draw a token of a row as the choice says, whose ids are valid. Returns false if every logit is NaN, -inf, banned or not
 * allowed. */
bool oxi_sampler_draw(oxi_sampler *s, const oxi_vec *vec, const oxi_row *row, const oxi_choice *choice,
                      oxi_sample_scratch *scratch, int32_t *token);

#endif
