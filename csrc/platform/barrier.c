#include "platform/barrier.h"

bool oxi_barrier_init(oxi_barrier *b, int n_threads)
{
    const int n_groups = (n_threads + OXI_GROUP - 1) / OXI_GROUP;
    b->groups = oxi_alloc_array((size_t)n_groups, sizeof *b->groups);
    for (int i = 0; b->groups && i < n_groups; i++, b->n_groups++) {
        const int left = n_threads - i * OXI_GROUP;
        b->groups[i].size = (uint32_t)(left < OXI_GROUP ? left : OXI_GROUP);
        if (oxi_word_init(&b->groups[i].phase) != 0) return false;
    }
    return b->groups != NULL;
}

void oxi_barrier_close(oxi_barrier *b)
{
    for (uint32_t i = 0; i < b->n_groups; i++) oxi_park_destroy(&b->groups[i].phase.park);
    oxi_free(b->groups);
}

/* The last to arrive resets the counter, for threads that run ahead to the next barrier. */
static bool is_last(_Atomic uint32_t *arrived, uint32_t size)
{
    if (atomic_fetch_add_explicit(arrived, 1, memory_order_acq_rel) + 1 < size) return false;
    atomic_store_explicit(arrived, 0, memory_order_relaxed);
    return true;
}

bool oxi_barrier_arrive(oxi_barrier *b, int thread)
{
    oxi_barrier_group *group = &b->groups[thread / OXI_GROUP];
    return is_last(&group->arrived, group->size) && (b->n_groups == 1 || is_last(&b->arrived, b->n_groups));
}

void oxi_barrier_open(oxi_barrier *b)
{
    for (uint32_t i = b->n_groups; i-- > 0;) oxi_word_change(&b->groups[i].phase);
}

void oxi_barrier_wait(oxi_barrier *b, int thread, uint32_t phase, bool may_spin)
{
    oxi_word_await(&b->groups[thread / OXI_GROUP].phase, phase, may_spin);
}
