/* What an op gets and may call: below the ops and below what runs them (exec.h). */
#ifndef OXI_STEP_H
#define OXI_STEP_H

#include "graph/state.h"

/* One thread's view of a step. */
typedef struct oxi_step {
    oxi_runner *r;
    int thread, n_threads;
    uint64_t barriers;
    oxi_thread_scratch *scratch;
} oxi_step;

/* This thread's share of n things: [*from, returned). */
static inline int64_t oxi_share(const oxi_step *s, int64_t n, int64_t *from)
{
    *from = n * s->thread / s->n_threads;
    return n * (s->thread + 1) / s->n_threads;
}

/* Wait for all threads; false: the step is cancelled and every thread leaves here. */
bool oxi_step_barrier(oxi_step *s);
/* The same; when all have come, one of them runs `once` before any goes on. */
bool oxi_step_barrier_once(oxi_step *s, void (*once)(void *arg), void *arg);

/* One row through a norm: an op of its own, or how a linear op begins. out may be x. */
void oxi_norm_row(const oxi_runner *r, const oxi_op_norm *op, const float *x, float *out);

#endif
