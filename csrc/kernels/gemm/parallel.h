/* One matrix product over a thread pool: how panels are divided, and the whole product for tests and benchmarks. */
#ifndef OXI_SPREAD_H
#define OXI_SPREAD_H

#include "kernels/kernels.h"

/* The panels [*p0, *p1) of thread `thread`: contiguous, the same in every step, in multiples of what kernels take at a
 * time. The range may be empty. */
void oxi_spread_panels(int64_t n_panels, int thread, int n_threads, int64_t *p0, int64_t *p1);

/* out [n_tokens, ldo] from prepared activations; `scratch` is OXI_MATMUL_SCRATCH for each thread of the pool. */
void oxi_spread_matmul(const oxi_kernels *row, oxi_pool *pool, const oxi_matrix *m, const void *act, int64_t n_tokens,
                       float *out, int64_t ldo, void *scratch);

/* Both probes of a row on all threads of a pool: probe_dot's operations are added up, `bytes` is divided. */
double oxi_spread_probe_dot(const oxi_kernels *row, oxi_pool *pool, int64_t rounds);
void oxi_spread_probe_read(const oxi_kernels *row, oxi_pool *pool, const uint8_t *p, size_t bytes);

#endif
