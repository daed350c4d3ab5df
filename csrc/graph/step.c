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
