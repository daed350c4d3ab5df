#ifndef OXI_LOGPROB_H
#define OXI_LOGPROB_H

#include "sample/select.h"

/* Log-probability of a token, and the n_top (at most row->n) most likely tokens, best first; `top` has room for n_top. The
 * row's maximum is above -inf. */
double oxi_logprobs(const oxi_vec *vec, const oxi_row *row, int32_t token, int32_t n_top, oxi_candidate *top,
                    int32_t *top_ids, double *top_logprobs);

#endif
