/* How often each token occurs among the latest ones: all that the penalties need. */
#ifndef OXI_HISTORY_H
#define OXI_HISTORY_H

#include "oxillama.h"

typedef struct oxi_history {
    int32_t window;         /* how many of the latest tokens count; -1: all */
    int32_t *ring;          /* those tokens, used only with a window; grows up to it */
    size_t n_ring, cap_ring, oldest;
    int32_t *ids, *counts;  /* the distinct tokens and how often each occurs */
    size_t n, cap;
    int32_t *place;         /* [n_vocab] 1 + index into ids; 0: does not occur */
} oxi_history;

oxi_status oxi_history_open(oxi_history *history, int32_t n_vocab, int32_t window, oxi_error *err);
void oxi_history_close(oxi_history *history);
oxi_status oxi_history_add(oxi_history *history, int32_t token, oxi_error *err);

#endif
