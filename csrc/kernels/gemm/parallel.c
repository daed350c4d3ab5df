#include "kernels/gemm/parallel.h"

/* Panels in fours, so that no thread unpacks weights for half a tile. */
#define PANELS_TOGETHER 4

/* The panels [*p0, *p1) of thread `thread`: contiguous, the same in every step. The range may be empty. */
static void panels_of_thread(int64_t n_panels, int thread, int n_threads, int64_t *p0, int64_t *p1)
{
    const int64_t fours = (n_panels + PANELS_TOGETHER - 1) / PANELS_TOGETHER;
    *p0 = fours * thread / n_threads * PANELS_TOGETHER;
    *p1 = fours * (thread + 1) / n_threads * PANELS_TOGETHER;
    if (*p0 > n_panels) *p0 = n_panels;
    if (*p1 > n_panels) *p1 = n_panels;
}

typedef struct product {
    const oxi_kernels *kernels;
    const oxi_matrix *m;
    const void *act;
    int64_t n_tokens, ldo;
    float *out;
    uint8_t *scratch; /* OXI_MATMUL_SCRATCH per thread */
} product;

static void multiply(void *arg, int thread, int n_threads)
{
    const product *p = arg;
    int64_t p0, p1;
    panels_of_thread(p->m->n_panels, thread, n_threads, &p0, &p1);
    if (p0 < p1)
        p->kernels->matmul[p->m->pack](p->m, p0, p1, p->act, p->n_tokens, p->out, p->ldo,
                                       p->scratch + (size_t)thread * OXI_MATMUL_SCRATCH);
}

void oxi_parallel_matmul(const oxi_kernels *kernels, oxi_pool *pool, const oxi_matrix *m, const void *act, int64_t n_tokens,
                         float *out, int64_t ldo, void *scratch)
{
    product p = {kernels, m, act, n_tokens, ldo, out, scratch};
    oxi_pool_run(pool, multiply, &p);
}

typedef struct probe {
    const oxi_kernels *kernels;
    int64_t rounds;
    const uint8_t *bytes;
    size_t n_bytes;
    oxi_probe_way way;
} probe;

static void run_probe(void *arg, int thread, int n_threads)
{
    const probe *p = arg;
    float sink;
    if (p->rounds) {
        p->kernels->probe_dot(p->rounds, &sink);
        return;
    }
    const size_t share = p->n_bytes / (size_t)n_threads / 64 * 64;
    p->kernels->probe_read(p->bytes + share * (size_t)thread, share, p->way, &sink);
}

double oxi_parallel_probe_dot(const oxi_kernels *kernels, oxi_pool *pool, int64_t rounds)
{
    probe p = {.kernels = kernels, .rounds = rounds};
    float sink;
    oxi_pool_run(pool, run_probe, &p);
    return kernels->probe_dot(1, &sink) * (double)rounds * oxi_pool_size(pool);
}

void oxi_parallel_probe_read(const oxi_kernels *kernels, oxi_pool *pool, const uint8_t *p, size_t bytes, oxi_probe_way way)
{
    probe read = {.kernels = kernels, .bytes = p, .n_bytes = bytes, .way = way};
    oxi_pool_run(pool, run_probe, &read);
}
