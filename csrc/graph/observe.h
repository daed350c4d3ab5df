/* The sums that a runner keeps for importance matrices, as the runner and the ops see them. */
#ifndef OXI_OBSERVE_H
#define OXI_OBSERVE_H

#include "graph/state.h"

void oxi_observer_close(oxi_observer **observer);
/* Add one input row of matrix `weight` (for experts: of number `expert`). Thread 0 only. */
void oxi_observe_row(const oxi_runner *r, int32_t weight, int32_t expert, const float *row);

#endif
