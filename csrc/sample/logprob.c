#include "sample/logprob.h"

#include <math.h>

/* Log-softmax in float64. Equality with the maximum comes first, since the maximum may be infinite. */
static double logprob(float x, float max, double log_sum)
{
    if (x != x) return -INFINITY;
    return (x == max ? 0.0 : (double)x - max) - log_sum;
}

static double sum_of(const oxi_vec *vec, const oxi_row *row)
{
    if (row->max < INFINITY) return vec->exp_sum(row->x, (int64_t)row->n, row->max);
    double sum = 0;
    for (size_t i = 0; i < row->n; i++) sum += row->x[i] == INFINITY;
    return sum;
}

double oxi_logprobs(const oxi_vec *vec, const oxi_row *row, int32_t token, int32_t n_top, oxi_candidate *top,
                    int32_t *top_ids, double *top_logprobs)
{
    const double log_sum = log(sum_of(vec, row));
    if (n_top > 0) oxi_row_top(row, top, (size_t)n_top);
    for (int32_t i = 0; i < n_top; i++) {
        top_ids[i] = top[i].id;
        top_logprobs[i] = logprob(top[i].value, row->max, log_sum);
    }
    return logprob(row->x[token], row->max, log_sum);
}
