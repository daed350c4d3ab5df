/* Choosing among many logits without sorting them all. */
#ifndef OXI_SELECT_H
#define OXI_SELECT_H

#include "kernels/vec/vec.h"

/* A row of logits with the largest value of each block of OXI_LOGIT_BLOCK, so that most blocks need no second look. NaN
 * counts as -inf everywhere. */
typedef struct oxi_row {
    const float *x;
    size_t n;
    const float *maxima; /* [oxi_blocks(n)] */
    float max;           /* of all */
} oxi_row;

/* A token with its logit or weight. The order everywhere: larger value first, equal values by lower id. */
typedef struct oxi_candidate {
    float value;
    int32_t id;
} oxi_candidate;

static inline int oxi_better(oxi_candidate a, oxi_candidate b)
{
    return a.value > b.value || (a.value == b.value && a.id < b.id);
}

static inline size_t oxi_blocks(size_t n) { return (n + OXI_LOGIT_BLOCK - 1) / OXI_LOGIT_BLOCK; }

/* The end of block b in a row of n values. */
static inline size_t oxi_block_end(size_t n, size_t b)
{
    return n - b * OXI_LOGIT_BLOCK < OXI_LOGIT_BLOCK ? n : (b + 1) * OXI_LOGIT_BLOCK;
}

/* The row of x, given the maxima of its blocks. */
oxi_row oxi_row_of(const float *x, size_t n, const float *maxima);
/* The lowest id with the largest value, which is above -inf. */
int32_t oxi_row_best(const oxi_row *row);
/* The k best of a row, best first, in out[0..k); 1 <= k <= n. */
void oxi_row_top(const oxi_row *row, oxi_candidate *out, size_t k);
/* Turn n candidates into a heap with the best first, in O(n). oxi_pop_best then removes the first, in O(log n). */
void oxi_heapify_best(oxi_candidate *c, size_t n);
void oxi_pop_best(oxi_candidate *c, size_t n);

#endif
