#include "sample/select.h"

#include <math.h>

oxi_row oxi_row_of(const float *x, size_t n, const float *maxima)
{
    float max = -INFINITY;
    for (size_t b = 0; b < oxi_blocks(n); b++) max = maxima[b] > max ? maxima[b] : max;
    return (oxi_row){.x = x, .n = n, .maxima = maxima, .max = max};
}

int32_t oxi_row_best(const oxi_row *row)
{
    size_t b = 0;
    while (row->maxima[b] != row->max) b++;
    size_t i = b * OXI_LOGIT_BLOCK;
    while (row->x[i] != row->max) i++;
    return (int32_t)i;
}

/* Move c[at] down to its place in a heap whose root is the worst (sign 1) or the best (sign -1) candidate. */
static void sift(oxi_candidate *c, size_t n, size_t at, int sign)
{
    const oxi_candidate moving = c[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n) break;
        if (child + 1 < n && (sign > 0 ? oxi_better(c[child], c[child + 1]) : oxi_better(c[child + 1], c[child]))) child++;
        if (sign > 0 ? !oxi_better(moving, c[child]) : !oxi_better(c[child], moving)) break;
        c[at] = c[child];
        at = child;
    }
    c[at] = moving;
}

static void heapify(oxi_candidate *c, size_t n, int sign)
{
    for (size_t i = n / 2; i-- > 0;) sift(c, n, i, sign);
}

/* Offer a value with a higher id than all that came before it. The heap's root is the worst of the k best so far, so
 * nearly every value fails one comparison; an equal one has the higher id and stays out. */
static inline void offer(oxi_candidate *heap, size_t *count, size_t k, float value, size_t id)
{
    if (*count < k) {
        heap[(*count)++] = (oxi_candidate){value, (int32_t)id};
        if (*count == k) heapify(heap, k, 1);
    } else if (value > heap[0].value) {
        heap[0] = (oxi_candidate){value, (int32_t)id};
        sift(heap, k, 0, 1);
    }
}

void oxi_row_top(const oxi_row *row, oxi_candidate *out, size_t k)
{
    /* k blocks have a largest value of at least `least`, so the k best values are not below it. */
    const size_t n_blocks = oxi_blocks(row->n);
    float least = -INFINITY;
    size_t count = 0;
    if (k < n_blocks) {
        for (size_t b = 0; b < n_blocks; b++) offer(out, &count, k, row->maxima[b], b);
        least = out[0].value;
        count = 0;
    }
    for (size_t b = 0; b < n_blocks; b++) {
        if (!(row->maxima[b] >= least)) continue;
        if (count == k && !(row->maxima[b] > out[0].value)) continue; /* no value here is better than the worst so far */
        const size_t end = oxi_block_end(row->n, b);
        for (size_t i = b * OXI_LOGIT_BLOCK; i < end; i++) {
            const float value = row->x[i] == row->x[i] ? row->x[i] : -INFINITY;
            if (value >= least) offer(out, &count, k, value, i);
        }
    }
    for (size_t m = k; m-- > 1;) {
        const oxi_candidate worst = out[0];
        out[0] = out[m];
        sift(out, m, 0, 1);
        out[m] = worst;
    }
}

void oxi_heapify_best(oxi_candidate *c, size_t n) { heapify(c, n, -1); }

void oxi_pop_best(oxi_candidate *c, size_t n)
{
    c[0] = c[n - 1];
    if (n > 1) sift(c, n - 1, 0, -1);
}
