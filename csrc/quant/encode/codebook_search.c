#include "quant/encode/codebook_search.h"

#include <stdlib.h>
#include <string.h>

/* The entries nearest to a corner, nearest first. */
static void list_nearest(oxi_codebook_index *codebook, const float corner[OXI_CODEBOOK_LANES], uint16_t *near)
{
    float distance[OXI_CODEBOOK_NEAR];
    int n = 0;
    for (int e = 0; e < codebook->n_entries; e++) {
        const float *value = codebook->value[e];
        float d[OXI_CODEBOOK_LANES], sum = 0.0f;
        for (int i = 0; i < OXI_CODEBOOK_LANES; i++) d[i] = (corner[i] - value[i]) * (corner[i] - value[i]);
        for (int i = 0; i < OXI_CODEBOOK_LANES; i++) sum += d[i];
        if (n == OXI_CODEBOOK_NEAR && sum >= distance[n - 1]) continue;
        int at = n < OXI_CODEBOOK_NEAR ? n++ : n - 1;
        for (; at > 0 && distance[at - 1] > sum; at--) {
            distance[at] = distance[at - 1];
            near[at] = near[at - 1];
        }
        distance[at] = sum;
        near[at] = (uint16_t)e;
    }
}

oxi_codebook_index *oxi_codebook_make(const uint16_t *entries, int n_entries, int dim, const int8_t *levels, int n_levels)
{
    int n_corners = 1;
    for (int i = 0; i < dim; i++) n_corners *= n_levels;
    const size_t lists = (size_t)n_corners * sizeof(uint16_t[OXI_CODEBOOK_NEAR]);
    oxi_codebook_index *codebook = calloc(1, sizeof *codebook + lists + (size_t)n_corners * sizeof(int16_t));
    if (!codebook) return NULL;
    codebook->near = (void *)(codebook + 1);
    codebook->exact = (int16_t *)(void *)((char *)codebook->near + lists);
    codebook->dim = dim;
    codebook->n_entries = n_entries;
    codebook->n_levels = n_levels;
    codebook->n_corners = n_corners;
    for (int i = 0; i < n_levels; i++) codebook->level[i] = levels[i];
    for (int i = 0; i + 1 < n_levels; i++) codebook->middle[i] = (codebook->level[i] + codebook->level[i + 1]) / 2.0f;
    memset(codebook->exact, 0xff, (size_t)n_corners * sizeof(int16_t));
    const int bits = 16 / dim, mask = (1 << bits) - 1;
    for (int e = 0; e < n_entries; e++) {
        int corner = 0;
        for (int i = dim - 1; i >= 0; i--) {
            const int index = (entries[e] >> bits * i) & mask;
            codebook->value[e][i] = codebook->level[index];
            corner = corner * n_levels + index;
        }
        codebook->exact[corner] = (int16_t)e;
    }
    for (int c = 0; c < n_corners; c++) {
        if (codebook->exact[c] >= 0) continue;
        float corner[OXI_CODEBOOK_LANES] = {0};
        for (int i = 0, rest = c; i < dim; i++, rest /= n_levels) corner[i] = codebook->level[rest % n_levels];
        list_nearest(codebook, corner, codebook->near[c]);
    }
    return codebook;
}
