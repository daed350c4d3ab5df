/* Sums of squares of each matrix's input, per column: the data of an importance matrix. One thread adds them up, so the
 * sums do not depend on the number of threads. */
#include "graph/observe.h"

#include <stdlib.h>

struct oxi_observer {
    struct oxi_observed {
        double *sums;    /* [n_experts][n_cols] */
        int64_t *counts; /* [n_experts] rows seen */
    } *weights;          /* [n_weights] */
    int32_t n;
};

void oxi_observer_close(oxi_observer **observer)
{
    oxi_observer *o = *observer;
    *observer = NULL;
    if (!o) return;
    for (int32_t i = 0; o->weights && i < o->n; i++) {
        free(o->weights[i].sums);
        free(o->weights[i].counts);
    }
    free(o->weights);
    free(o);
}

oxi_status oxi_runner_observe(oxi_runner *r, oxi_error *err)
{
    const oxi_program *p = r->program;
    if (r->observer) return OXI_OK;
    oxi_observer *o = calloc(1, sizeof *o);
    bool got = o && (o->weights = calloc((size_t)p->n_weights + 1, sizeof *o->weights));
    if (got) o->n = p->n_weights;
    for (int32_t i = 0; got && i < o->n; i++) {
        const oxi_weight *w = &p->weights[i];
        o->weights[i].sums = calloc((size_t)w->n_experts * (size_t)w->matrix.n_cols, sizeof(double));
        o->weights[i].counts = calloc((size_t)w->n_experts, sizeof(int64_t));
        got = o->weights[i].sums && o->weights[i].counts;
    }
    if (!got) {
        oxi_observer_close(&o);
        return oxi_fail(err, OXI_ERR_NOMEM, "out of memory for sums of activations");
    }
    r->observer = o;
    return OXI_OK;
}

const oxi_tensor *oxi_runner_observed(const oxi_runner *r, int32_t matrix, int32_t *n_experts, int64_t *n_cols,
                                      const double **sums, const int64_t **counts)
{
    if (!r->observer || matrix < 0 || matrix >= r->observer->n) return NULL;
    const oxi_weight *w = &r->program->weights[matrix];
    *n_experts = w->n_experts;
    *n_cols = w->matrix.n_cols;
    *sums = r->observer->weights[matrix].sums;
    *counts = r->observer->weights[matrix].counts;
    return w->tensor;
}

void oxi_observe_row(const oxi_runner *r, int32_t weight, int32_t expert, const float *row)
{
    struct oxi_observed *seen = &r->observer->weights[weight];
    const int64_t n = r->program->weights[weight].matrix.n_cols;
    double *sums = seen->sums + expert * n;
    for (int64_t i = 0; i < n; i++) sums[i] += (double)row[i] * row[i];
    seen->counts[expert]++;
}
