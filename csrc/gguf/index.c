#include "gguf/internal.h"

#include <stdlib.h>

/* Bottom-up merge sort. A hash table would be faster on friendly names, but no names are hostile to this. */
uint32_t *oxi_gguf_sorted(uint32_t n, oxi_gguf_compare *compare, const void *items)
{
    uint32_t *from = malloc(((size_t)n + 1) * sizeof *from), *to = malloc(((size_t)n + 1) * sizeof *to);
    if (!from || !to) {
        free(from);
        free(to);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++) from[i] = i;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t start = 0; start < n; start += 2 * width) {
            const size_t middle = start + width < n ? start + width : n, end = middle + width < n ? middle + width : n;
            size_t a = start, b = middle;
            for (size_t k = start; k < end; k++)
                to[k] = a < middle && (b == end || compare(items, from[a], from[b]) <= 0) ? from[a++] : from[b++];
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    free(to);
    return from;
}
