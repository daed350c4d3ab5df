/* Causal convolution of columns over the tokens of each sequence. A thread has its own columns, so none waits for another. */
#include "graph/ops/ops.h"

#include <string.h>

/* Input row t of a run, counted from its first token: one of the batch's rows, or before the run, one that the state holds
 * (already multiplied). */
static const float *input_row(const oxi_runner *r, const oxi_op_conv *op, const oxi_run *run, const float *state, int32_t t,
                              const float **times)
{
    *times = NULL;
    if (t < 0) return state + (int64_t)(op->n_taps - 1 + t) * op->x.width;
    if (op->times.buffer >= 0) *times = oxi_view_row(r, op->times, run->first + t);
    return oxi_view_row(r, op->x, run->first + t);
}

/* Keep the inputs that the next tokens need. Ascending, so that before may be after. */
static void keep(const oxi_runner *r, const oxi_op_conv *op, const oxi_run *run, int64_t c0, int64_t n, const float *before,
                 float *after)
{
    const int32_t kept = op->n_taps - 1;
    for (int32_t i = 0; i < kept; i++) {
        const float *times, *x = input_row(r, op, run, before, run->count - kept + i, &times);
        r->vec->affine(x + c0, 1.0f, times ? times + c0 : NULL, NULL, NULL, n, after + (int64_t)i * op->x.width + c0);
    }
}

void oxi_run_conv(oxi_step *s, const oxi_op_conv *op)
{
    const oxi_runner *r = s->r;
    const int64_t width = op->x.width;
    const float *kernel = oxi_vector_data(r, op->kernel);
    int64_t b0;
    const int64_t b1 = oxi_share(s, (width + 15) / 16, &b0), c0 = b0 * 16, c1 = b1 * 16 < width ? b1 * 16 : width;
    if (c0 >= c1) return;
    for (int32_t i = 0; i < r->n_runs; i++) {
        const oxi_run *run = &r->runs[i];
        const float *before = oxi_run_state(r, run, op->state);
        for (int32_t t = 0; t < run->count; t++) {
            const float *x[OXI_CONV_TAPS], *times[OXI_CONV_TAPS];
            for (int32_t j = 0; j < op->n_taps; j++) {
                x[j] = input_row(r, op, run, before, t - op->n_taps + 1 + j, &times[j]) + c0;
                if (times[j]) times[j] += c0;
            }
            float *out = oxi_view_row(r, op->out, run->first + t) + c0;
            r->vec->conv_row(x, times, kernel + c0, width, op->n_taps, c1 - c0, out);
            if (op->bias >= 0) r->vec->affine(out, 1.0f, NULL, NULL, oxi_vector_data(r, op->bias) + c0, c1 - c0, out);
            if (op->fn != OXI_FN_NONE) r->vec->glu((oxi_fn)op->fn, out, NULL, c1 - c0, out);
        }
        keep(r, op, run, c0, c1 - c0, before, oxi_run_next_state(r, run, op->state));
    }
}
