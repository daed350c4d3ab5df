#include "graph/step.h"

bool oxi_step_barrier(oxi_step *s) { return oxi_step_barrier_once(s, NULL, NULL); }

bool oxi_step_barrier_once(oxi_step *s, void (*once)(void *arg), void *arg)
{
    oxi_runner *r = s->r;
    s->barriers++;
    /* Thread 0 decides for all threads before it arrives. The number tells threads that read it late which barrier was
     * meant. */
    if (s->thread == 0 && atomic_load_explicit(&r->cancel, memory_order_relaxed) && !atomic_load(&r->stop_at))
        atomic_store(&r->stop_at, s->barriers);
    oxi_pool_barrier(r->pool, s->thread, once, arg);
    const uint64_t stop = atomic_load_explicit(&r->stop_at, memory_order_acquire);
    return !(stop && stop <= s->barriers);
}

int oxi_round(oxi_step *s)
{
    const int round = (int)(s->rounds++ & 1);
    /* Everyone has left the round before, and the next one lies behind a barrier. */
    atomic_store_explicit(&s->r->queues[s->thread].next[round ^ 1], 0, memory_order_relaxed);
    return round;
}

int oxi_helped(const oxi_step *s, int i)
{
    const int first = s->thread / OXI_NEAR * OXI_NEAR, rank = s->thread - first, left = s->n_threads - first;
    const int size = left < OXI_NEAR ? left : OXI_NEAR;
    if (i < size) return first + (rank + i) % size;
    const int n_groups = (s->n_threads + OXI_NEAR - 1) / OXI_NEAR, away = i - size + 1;
    if (away >= n_groups) return -1;
    const int other = (s->thread / OXI_NEAR + away) % n_groups * OXI_NEAR + rank;
    return other < s->n_threads ? other : s->n_threads - 1;
}

void oxi_norm_row(const oxi_runner *r, const oxi_op_norm *op, const float *x, float *out)
{
    const float *weight = oxi_vector_data(r, op->weight), *bias = oxi_vector_data(r, op->bias);
    const int32_t width = op->x.width, group = op->group;
    const bool own_weights = weight && r->program->vectors[op->weight].n != group;
    const bool own_biases = bias && r->program->vectors[op->bias].n != group;
    for (int32_t i = 0; i < width; i += group) {
        const float *w = own_weights ? weight + i : weight, *b = own_biases ? bias + i : bias;
        if (op->kind == OXI_NORM_RMS) r->vec->rms_norm(x + i, w, b, group, op->eps, out + i);
        else r->vec->layer_norm(x + i, w, b, group, op->eps, out + i);
    }
}
