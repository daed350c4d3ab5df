/* One matrix product over a thread pool, for tests and benchmarks. In a program, graph/ divides the panels of all matrices
 * of an op. */
#ifndef OXI_PARALLEL_H
#define OXI_PARALLEL_H

#include "kernels/kernels.h"
#include "oxillama.h"

/* out [n_tokens, ldo] from quantised activations; `scratch` is OXI_MATMUL_SCRATCH for each thread of the pool. */
void oxi_parallel_matmul(const oxi_kernels *kernels, oxi_pool *pool, const oxi_matrix *m, const void *act, int64_t n_tokens,
                         float *out, int64_t ldo, void *scratch);

/* Both probes of an isa on all threads of a pool: probe_dot's operations are added up, `bytes` is divided. */
double oxi_parallel_probe_dot(const oxi_kernels *kernels, oxi_pool *pool, int64_t rounds);
void oxi_parallel_probe_read(const oxi_kernels *kernels, oxi_pool *pool, const uint8_t *p, size_t bytes, oxi_probe_way way);

#endif
