/* The times of a runner's ops, for measurements. Each thread adds up its own; the runner's caller reads them between steps. */
#include "graph/state.h"

#include <string.h>

oxi_status oxi_runner_clock(oxi_runner *r, oxi_error *err)
{
    const size_t n = (size_t)r->n_threads * (size_t)r->program->n_ops;
    if (!r->times) r->times = oxi_alloc_array(n, sizeof *r->times);
    if (!r->times) return oxi_fail(err, OXI_ERR_NOMEM, "out of memory for the times of ops");
    memset(r->times, 0, n * sizeof *r->times);
    return OXI_OK;
}

const oxi_op_times *oxi_runner_clocked(const oxi_runner *r, int32_t thread, int32_t *n_ops)
{
    if (!r->times || thread < 0 || thread >= r->n_threads) return NULL;
    *n_ops = r->program->n_ops;
    return r->times + (int64_t)thread * r->program->n_ops;
}
