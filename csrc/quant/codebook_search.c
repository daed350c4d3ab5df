#include "quant/codebook_search.h"

#include <stdlib.h>
#include <string.h>

/* The entries nearest to a corner, nearest first. */
static void list_nearest(oxi_book *book, const float corner[OXI_BOOK_LANES], uint16_t *near)
{
    float distance[OXI_BOOK_NEAR];
    int n = 0;
    for (int e = 0; e < book->n_entries; e++) {
        const float *value = book->value[e];
        float d[OXI_BOOK_LANES], sum = 0.0f;
        for (int i = 0; i < OXI_BOOK_LANES; i++) d[i] = (corner[i] - value[i]) * (corner[i] - value[i]);
        for (int i = 0; i < OXI_BOOK_LANES; i++) sum += d[i];
        if (n == OXI_BOOK_NEAR && sum >= distance[n - 1]) continue;
        int at = n < OXI_BOOK_NEAR ? n++ : n - 1;
        for (; at > 0 && distance[at - 1] > sum; at--) {
            distance[at] = distance[at - 1];
            near[at] = near[at - 1];
        }
        distance[at] = sum;
        near[at] = (uint16_t)e;
    }
}

oxi_book *oxi_book_make(const uint16_t *entries, int n_entries, int dim, const int8_t *levels, int n_levels)
{
    int n_corners = 1;
    for (int i = 0; i < dim; i++) n_corners *= n_levels;
    const size_t lists = (size_t)n_corners * sizeof(uint16_t[OXI_BOOK_NEAR]);
    oxi_book *book = calloc(1, sizeof *book + lists + (size_t)n_corners * sizeof(int16_t));
    if (!book) return NULL;
    book->near = (void *)(book + 1);
    book->exact = (int16_t *)(void *)((char *)book->near + lists);
    book->dim = dim;
    book->n_entries = n_entries;
    book->n_levels = n_levels;
    book->n_corners = n_corners;
    for (int i = 0; i < n_levels; i++) book->level[i] = levels[i];
    for (int i = 0; i + 1 < n_levels; i++) book->middle[i] = (book->level[i] + book->level[i + 1]) / 2.0f;
    memset(book->exact, 0xff, (size_t)n_corners * sizeof(int16_t));
    const int bits = 16 / dim, mask = (1 << bits) - 1;
    for (int e = 0; e < n_entries; e++) {
        int corner = 0;
        for (int i = dim - 1; i >= 0; i--) {
            const int index = (entries[e] >> bits * i) & mask;
            book->value[e][i] = book->level[index];
            corner = corner * n_levels + index;
        }
        book->exact[corner] = (int16_t)e;
    }
    for (int c = 0; c < n_corners; c++) {
        if (book->exact[c] >= 0) continue;
        float corner[OXI_BOOK_LANES] = {0};
        for (int i = 0, rest = c; i < dim; i++, rest /= n_levels) corner[i] = book->level[rest % n_levels];
        list_nearest(book, corner, book->near[c]);
    }
    return book;
}
