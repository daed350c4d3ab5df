/* The ops, one file each, as exec.c calls them. Those that return bool return false if the step is cancelled. */
#ifndef OXI_OPS_H
#define OXI_OPS_H

#include "graph/step.h"

bool oxi_run_linear(oxi_step *s, const oxi_op_linear *op, int32_t index, int64_t rows);
bool oxi_run_experts(oxi_step *s, const oxi_op_experts *op, int64_t rows);
void oxi_run_head_linear(oxi_step *s, const oxi_op_head_linear *op, int64_t rows);
void oxi_run_kv_store(oxi_step *s, const oxi_op_kv_store *op);
void oxi_run_attention(oxi_step *s, const oxi_op_attention *op);
/* Prefetch what this thread's part of the op begins with, while it heads for the barrier before the op. */
void oxi_fetch_attention(const oxi_step *s, const oxi_op_attention *op);
void oxi_run_conv(oxi_step *s, const oxi_op_conv *op);
void oxi_run_delta(oxi_step *s, const oxi_op_delta *op);
void oxi_run_scan(oxi_step *s, const oxi_op_scan *op);
void oxi_run_dplr(oxi_step *s, const oxi_op_dplr *op);
/* Every other kind of op. */
void oxi_run_rows(oxi_step *s, const oxi_op *op, int64_t rows);

#endif
