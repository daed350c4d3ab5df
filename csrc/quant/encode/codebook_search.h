/* Searches the codebooks of the IQ formats. Private to quant/. */
#ifndef OXI_CODEBOOK_SEARCH_H
#define OXI_CODEBOOK_SEARCH_H

#include <stdint.h>

enum { OXI_CODEBOOK_LANES = 8, OXI_CODEBOOK_NEAR = 16, OXI_CODEBOOK_LEVELS = 8 };

/* A codebook with the data that a search needs. Rounding each coordinate to its nearest level gives a corner of a grid. If
 * the codebook has that corner, it is the best entry, whatever the weights. For every other corner a list names the nearest
 * entries, and the weights decide among them. */
typedef struct oxi_codebook_index {
    int dim, n_entries, n_levels, n_corners;
    float level[OXI_CODEBOOK_LEVELS];
    float middle[OXI_CODEBOOK_LEVELS]; /* between one level and the next */
    float value[2048][OXI_CODEBOOK_LANES];
    int16_t *exact;                    /* [n_corners]: an entry, or -1 */
    uint16_t (*near)[OXI_CODEBOOK_NEAR];   /* [n_corners] */
} oxi_codebook_index;

/* One allocation; release it with free(). NULL: out of memory. */
oxi_codebook_index *oxi_codebook_make(const uint16_t *entries, int n_entries, int dim, const int8_t *levels, int n_levels);

#endif
