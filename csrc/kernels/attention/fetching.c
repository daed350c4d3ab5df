#include "kernels/attention/fetching.h"

const oxi_fetching oxi_fetchings[OXI_FETCHING_COUNT] = {
    [OXI_FETCHING_ONE_RUN] = {.one_run = true, .ahead = 2, .with_softmax = 2},
};
