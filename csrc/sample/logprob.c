#include <math.h>
#include <stdlib.h>

#include "oxillama.h"
#include "sample/select.h"

oxi_status oxi_log_softmax_top(const float *logits, int32_t n_vocab, int32_t token, int32_t n_top, double *logprob,
                               int32_t *top_ids, double *top_logprobs, oxi_error *err)
{
    if (n_vocab <= 0 || token < 0 || token >= n_vocab || n_top < 0 || n_top > n_vocab)
        return oxi_fail(err, OXI_ERR_ARGUMENT, "log-probabilities: token %d, %d best of %d", token, n_top, n_vocab);
    const size_t n = (size_t)n_vocab;
    float *x = malloc(n * sizeof *x);
    oxi_candidate *top = malloc(((size_t)n_top + 1) * sizeof *top);
    oxi_status status = OXI_OK;
    if (!x || !top) {
        status = oxi_fail(err, OXI_ERR_NOMEM, "log-probabilities: out of memory");
        goto done;
    }
    for (size_t i = 0; i < n; i++) x[i] = logits[i] == logits[i] ? logits[i] : -INFINITY;
    const float max = oxi_max(x, n);
    if (max == -INFINITY) {
        status = oxi_fail(err, OXI_ERR_NUMERIC, "log-probabilities: every logit is NaN or -inf");
        goto done;
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] == max ? 1.0 : exp((double)x[i] - max);
    const double log_sum = log(sum);
    /* Test for equality with the maximum first: the maximum may be infinite. */
    *logprob = (x[token] == max ? 0.0 : (double)x[token] - max) - log_sum;
    if (n_top > 0) oxi_top(x, n, top, (size_t)n_top);
    for (int32_t i = 0; i < n_top; i++) {
        top_ids[i] = top[i].id;
        top_logprobs[i] = (top[i].value == max ? 0.0 : (double)top[i].value - max) - log_sum;
    }
done:
    free(x);
    free(top);
    return status;
}
