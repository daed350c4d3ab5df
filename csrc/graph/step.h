/* What an op gets and may call: below the ops and below what runs them (exec.h). */
#ifndef OXI_STEP_H
#define OXI_STEP_H

#include "graph/state.h"
#include "platform/word.h"

/* One thread's view of a step. */
typedef struct oxi_step {
    oxi_runner *r;
    int thread, n_threads;
    uint64_t barriers;
    uint32_t rounds; /* of tasks */
    oxi_thread_scratch *scratch;
    oxi_op_times *times; /* of the op under way; NULL: ops are not timed */
    uint64_t lap;        /* when the last time was taken */
} oxi_step;

/* Nanoseconds since the last time was taken. */
static inline uint64_t oxi_lap(oxi_step *s)
{
    const uint64_t last = s->lap;
    s->lap = (uint64_t)oxi_now_ns();
    return s->lap - last;
}

/* This thread's share of n things: [*from, returned). */
static inline int64_t oxi_share(const oxi_step *s, int64_t n, int64_t *from)
{
    *from = n * s->thread / s->n_threads;
    return n * (s->thread + 1) / s->n_threads;
}

/* Threads that take one another's tasks when their own are done: those of a group of this many, and one of each other group.
 * With many threads nobody looks at the counters of all the others, so these stay in their owners' caches. */
#define OXI_NEAR 8

/* Begin to hand out tasks; returns the round's counter in each queue. Between two barriers there may be one round. */
int oxi_round(oxi_step *s);

/* The i-th thread whose tasks this one takes, itself first; -1: there are no more. */
int oxi_helped(const oxi_step *s, int i);

/* The next of a queue's n tasks; -1: there are no more. Reading first keeps finished threads from bouncing the counter between
 * cores. */
static inline int64_t oxi_take(const oxi_step *s, int owner, int round, int64_t n)
{
    _Atomic int32_t *const next = &s->r->queues[owner].next[round];
    if (atomic_load_explicit(next, memory_order_relaxed) >= n) return -1;
    const int64_t task = atomic_fetch_add_explicit(next, 1, memory_order_relaxed);
    return task < n ? task : -1;
}

/* Wait for all threads; false: the step is cancelled and every thread leaves here. */
bool oxi_step_barrier(oxi_step *s);
/* The same; when all have come, one of them runs `once` before any goes on. */
bool oxi_step_barrier_once(oxi_step *s, void (*once)(void *arg), void *arg);

/* One row through a norm: an op of its own, or how a linear op begins. out may be x. */
void oxi_norm_row(const oxi_runner *r, const oxi_op_norm *op, const float *x, float *out);

#endif
