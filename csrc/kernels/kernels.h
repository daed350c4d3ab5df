/* The kernel table: the contract between graph/, which computes, and the files that know an instruction set.
 *
 * An isa is a variant of an instruction set that has kernels of its own, such as avx512-vnni. */
#ifndef OXI_KERNELS_H
#define OXI_KERNELS_H

#include "kernels/pack/matrix.h"

/* How a probe reads memory: in runs of addresses that take turns, prefetching `ahead` bytes into cache 1 or 2; 0: not. */
typedef struct oxi_probe_way {
    int32_t runs, cache, ahead;
} oxi_probe_way;

/* One isa's functions. A NULL entry is taken from the isa below; generic is complete except for the probes. */
typedef struct oxi_kernels {
    const char *name;
    uint64_t needs; /* every OXI_CPU_* bit this isa's compiler flags allow */

    /* Quantise rows [t0, t1) of x [.., ldx] (floats) into `act`, a buffer for n_tokens rows (matmul gets the same
     * n_tokens); for OXI_ACT_F32 they are copied. Threads take disjoint ranges. A block that holds a NaN or an infinity
     * makes its whole token NaN. */
    void (*quantize[OXI_ACT_COUNT])(const float *x, int64_t ldx, int64_t t0, int64_t t1, int64_t n_tokens, int64_t n_cols,
                                    void *act);

    /* out[t * ldo + row] = sum over columns, for every quantised token t < n_tokens and every row of panels [p0, p1)
     * below n_rows. Overwrites, never accumulates. A token's result does not depend on the other tokens or on p0, p1:
     * on one isa it is the same to the last bit. `scratch`: OXI_MATMUL_SCRATCH bytes, one per thread,
     * 64-byte aligned. Threads that take panels in multiples of 4 waste no work. */
    void (*matmul[OXI_PACK_COUNT])(const oxi_matrix *m, int64_t p0, int64_t p1, const void *act, int64_t n_tokens,
                                   float *out, int64_t ldo, void *scratch);

    /* NULL: this isa looks up codebook entries too slowly for matrices to keep their indices. */
    const oxi_codebook_decoder *decoder;

    /* The vector functions for the same processors (vec/vec.h). */
    const struct oxi_vec *vec;

    /* For benchmarks: the limits of this isa's instructions with nothing else to do. Multiply on registers and return
     * the number of operations; read `bytes` (a multiple of 64) of memory. NULL in generic. */
    double (*probe_dot)(int64_t rounds, float *sink);
    void (*probe_read)(const uint8_t *p, size_t bytes, oxi_probe_way way, float *sink);
} oxi_kernels;

#define OXI_MATMUL_SCRATCH (1u << 20)

/* The kernels in use (isa/dispatch.c). Before oxi_kernels_init: generic. */
const oxi_kernels *oxi_kernels_get(void);
/* The kernels of any isa that this CPU can execute, by its exact name or its family's name; NULL otherwise. */
const oxi_kernels *oxi_kernels_find(const char *name);
/* How processors of this family read packed weights fastest, as far as that was measured. */
const oxi_reading *oxi_kernels_reading(bool several);
/* The same for keys and values of the cache (attention/fetching.h). */
const struct oxi_fetching *oxi_kernels_fetching(void);

#endif
