/* A barrier of two levels. Threads arrive at the counter of their group of OXI_GROUP; the last of a group arrives at the
 * root; the last of all opens the barrier, a word for each group. A counter or a word thus is touched by a group's threads,
 * or once by each group, and never by all threads one after the other: at one line, 64 threads would wait for 64 transfers.
 * Up to OXI_GROUP threads form one group, and the root is not used.
 */
#ifndef OXI_BARRIER_H
#define OXI_BARRIER_H

#include "platform/word.h"

#define OXI_GROUP 8

typedef struct oxi_barrier_group {
    _Alignas(OXI_ALIGN) _Atomic uint32_t arrived;
    uint32_t size;
    oxi_word phase; /* changes when the barrier opens */
} oxi_barrier_group;

typedef struct oxi_barrier {
    _Alignas(OXI_ALIGN) _Atomic uint32_t arrived; /* groups */
    uint32_t n_groups;
    oxi_barrier_group *groups;
} oxi_barrier;

/* False: out of memory. Closing works after any result. */
bool oxi_barrier_init(oxi_barrier *b, int n_threads);
void oxi_barrier_close(oxi_barrier *b);

/* What a thread that arrives has to wait for; read it before arriving. */
static inline uint32_t oxi_barrier_phase(const oxi_barrier *b, int thread)
{
    return atomic_load_explicit(&b->groups[thread / OXI_GROUP].phase.value, memory_order_relaxed);
}

/* True for the last thread: it has to open the barrier, and sees what the others wrote. The others may wait, or go. The
 * first group is released last: once one of its threads is, the words of all groups have changed. */
bool oxi_barrier_arrive(oxi_barrier *b, int thread);
void oxi_barrier_open(oxi_barrier *b);
void oxi_barrier_wait(oxi_barrier *b, int thread, uint32_t phase, bool may_spin);

#endif
