#include "kernels/attention/fetching.h"

const oxi_fetching oxi_fetchings[OXI_FETCHING_COUNT] = {
    [OXI_FETCHING_ONE_RUN] = {.one_run = true, .ahead = 4, .with_keys = 4, .with_values = 4},
};
