/* Choosing among many logits without sorting them all. */
#ifndef OXI_SELECT_H
#define OXI_SELECT_H

#include <stddef.h>
#include <stdint.h>

/* A token with its logit or weight. The order everywhere: larger value first, equal values by lower id. */
typedef struct oxi_candidate {
    float value;
    int32_t id;
} oxi_candidate;

static inline int oxi_better(oxi_candidate a, oxi_candidate b)
{
    return a.value > b.value || (a.value == b.value && a.id < b.id);
}

/* The largest of n values, n >= 1, none of them NaN. */
float oxi_max(const float *x, size_t n);
/* The k best of n values, best first, in out[0..k); 1 <= k <= n. */
void oxi_top(const float *x, size_t n, oxi_candidate *out, size_t k);
/* Turn n candidates into a heap with the best first, in O(n). oxi_pop_best then removes the first, in O(log n). */
void oxi_heapify_best(oxi_candidate *c, size_t n);
void oxi_pop_best(oxi_candidate *c, size_t n);
/* w[i] = exp((x[i] - max) / temperature), exactly 1 where x[i] == max; returns the sum of all w. */
double oxi_weights(const float *x, size_t n, float max, float temperature, float *w);

#endif
