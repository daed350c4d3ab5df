/* A sampler's state. chain/ chooses tokens by it. */
#ifndef OXI_SAMPLER_H
#define OXI_SAMPLER_H

#include "sample/memory/dry.h"
#include "sample/memory/history.h"
#include "sample/rng.h"

struct oxi_sampler {
    oxi_sampler_params params;
    oxi_rng rng;
    bool penalised;
    oxi_history history;
    bool dries;
    oxi_dry dry;
    double mu; /* mirostat's bound of the surprise, in bits */
    int32_t *bias_ids;
    float *bias;
    size_t n_bias;
};

#endif
