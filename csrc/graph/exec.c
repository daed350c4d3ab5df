/* Executes the op list. All threads run the same list. A barrier separates two ops, unless both work row by row and each
 * thread handles the same rows in both. */
#include "graph/exec.h"

#include "graph/ops/ops.h"

/* True if the op begins by reading only rows of its thread's own share. On one row, products begin on every
 * thread. */
static bool starts_by_rows(const oxi_op *op, int64_t rows)
{
    switch (op->kind) {
    case OXI_OP_SELECT:
    case OXI_OP_ATTENTION:
    case OXI_OP_HEAD_LINEAR:
    case OXI_OP_CONV:
    case OXI_OP_DELTA:
    case OXI_OP_SCAN:
    case OXI_OP_DPLR: return false;
    case OXI_OP_LINEAR:
    case OXI_OP_EXPERTS: return rows > 1;
    default: return true;
    }
}

/* True if the op ends having written only rows of its thread's own share. */
static bool ends_by_rows(const oxi_op *op, int64_t rows)
{
    switch (op->kind) {
    case OXI_OP_LINEAR:
    case OXI_OP_ATTENTION:
    case OXI_OP_HEAD_LINEAR:
    case OXI_OP_CONV:
    case OXI_OP_DELTA:
    case OXI_OP_SCAN:
    case OXI_OP_DPLR: return false;
    case OXI_OP_EXPERTS: return rows > OXI_FEW_ROWS;
    default: return true;
    }
}

/* Returns false if cancelled. */
static bool run_op(oxi_step *s, const oxi_op *op, int32_t index, int64_t rows)
{
    switch (op->kind) {
    case OXI_OP_LINEAR: return oxi_run_linear(s, &op->as.linear, index, rows);
    case OXI_OP_EXPERTS: return oxi_run_experts(s, &op->as.experts, rows);
    case OXI_OP_HEAD_LINEAR: oxi_run_head_linear(s, &op->as.head_linear, rows); return true;
    case OXI_OP_ATTENTION: oxi_run_attention(s, &op->as.attention); return true;
    case OXI_OP_CONV: oxi_run_conv(s, &op->as.conv); return true;
    case OXI_OP_DELTA: oxi_run_delta(s, &op->as.delta); return true;
    case OXI_OP_SCAN: oxi_run_scan(s, &op->as.scan); return true;
    case OXI_OP_DPLR: oxi_run_dplr(s, &op->as.dplr); return true;
    default: oxi_run_rows(s, op, rows); return true;
    }
}

void oxi_step_run(void *runner, int thread, int n_threads)
{
    oxi_runner *r = runner;
    oxi_step s = {.r = r, .thread = thread, .n_threads = n_threads, .scratch = &r->threads[thread]};
    bool by_rows = true; /* nothing has been written yet */
    oxi_rows shared_by = OXI_ROWS_TOKENS;
    if (r->times) (void)oxi_lap(&s);
    for (int32_t i = 0; i < r->program->n_ops; i++) {
        const oxi_op *op = &r->program->ops[i];
        const int64_t rows = op->rows == OXI_ROWS_TOKENS ? r->n_tokens : r->n_outputs;
        if (!rows) continue;
        if (op->kind == OXI_OP_ATTENTION) oxi_fetch_attention(&s, &op->as.attention);
        if (!(by_rows && shared_by == op->rows && starts_by_rows(op, rows)) && i && !oxi_step_barrier(&s)) return;
        if (r->times) {
            s.times = &r->times[(int64_t)thread * r->program->n_ops + i];
            s.times->waited += oxi_lap(&s);
        }
        if (!run_op(&s, op, i, rows)) return;
        if (s.times) s.times->worked += oxi_lap(&s);
        by_rows = ends_by_rows(op, rows);
        shared_by = op->rows;
    }
}
