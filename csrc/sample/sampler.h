/* A sampler's state, and the two halves of choosing a token: change the logits, draw. */
#ifndef OXI_SAMPLER_H
#define OXI_SAMPLER_H

#include "sample/history.h"
#include "sample/rng.h"
#include "sample/select.h"

struct oxi_sampler {
    oxi_sampler_params params;
    oxi_rng rng;
    bool penalised;
    oxi_history history;
    int32_t *bias_ids;
    float *bias;
    size_t n_bias;
};

/* What one thread writes while it works on a row of n logits. */
typedef struct oxi_sample_scratch {
    float *changed;            /* [n] logits after penalties, bias and bans */
    float *weights;            /* [n] */
    oxi_candidate *candidates; /* [n] */
    float *maxima;             /* [blocks] of the logits as given */
    float *changed_maxima;     /* [blocks] of `changed` */
    float *weight_maxima;      /* [blocks] of `weights` */
    uint8_t *touched;          /* [blocks] */
} oxi_sample_scratch;

/* The row after penalties, bias, bans and the mask of allowed tokens: `row` itself if there are none, else a copy in
 * `scratch`. The ids are valid. */
oxi_row oxi_sampler_changed(const oxi_sampler *s, const oxi_vec *vec, const oxi_row *row, const oxi_choice *choice,
                            oxi_sample_scratch *scratch);
/* Draw from a changed row whose maximum is above -inf. */
int32_t oxi_sampler_draw(oxi_sampler *s, const oxi_vec *vec, const oxi_row *row, oxi_sample_scratch *scratch);

#endif
