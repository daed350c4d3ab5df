#include "sample/memory/history.h"

#include <stdlib.h>

oxi_status oxi_history_open(oxi_history *h, int32_t n_vocab, int32_t window, oxi_error *err)
{
    *h = (oxi_history){.window = window};
    h->place = calloc((size_t)n_vocab, sizeof *h->place);
    return h->place ? OXI_OK : oxi_fail(err, OXI_ERR_NOMEM, "sampler: out of memory for the token history");
}

void oxi_history_close(oxi_history *h)
{
    free(h->ring);
    free(h->ids);
    free(h->counts);
    free(h->place);
    *h = (oxi_history){0};
}

/* Room for one more element; `*items` is unchanged when there is no memory. */
static int grow(int32_t **items, size_t *cap, size_t n)
{
    if (n < *cap) return 1;
    const size_t wanted = *cap ? 2 * *cap : 64;
    int32_t *larger = realloc(*items, wanted * sizeof **items);
    if (!larger) return 0;
    *items = larger;
    *cap = wanted;
    return 1;
}

static void forget(oxi_history *h, int32_t token)
{
    const size_t at = (size_t)h->place[token] - 1;
    if (--h->counts[at] > 0) return;
    h->n--;
    h->ids[at] = h->ids[h->n];
    h->counts[at] = h->counts[h->n];
    h->place[h->ids[at]] = (int32_t)at + 1;
    h->place[token] = 0;
}

oxi_status oxi_history_add(oxi_history *h, int32_t token, oxi_error *err)
{
    if (h->window == 0) return OXI_OK;
    const int sliding = h->window > 0, full = sliding && h->n_ring == (size_t)h->window;
    size_t cap_counts = h->cap;
    if ((sliding && !full && !grow(&h->ring, &h->cap_ring, h->n_ring)) || !grow(&h->counts, &cap_counts, h->n) ||
        !grow(&h->ids, &h->cap, h->n))
        return oxi_fail(err, OXI_ERR_NOMEM, "sampler: out of memory for the token history");
    if (full) {
        forget(h, h->ring[h->oldest]);
        h->ring[h->oldest] = token;
        h->oldest = (h->oldest + 1) % h->n_ring;
    } else if (sliding) {
        h->ring[h->n_ring++] = token;
    }
    if (!h->place[token]) {
        h->ids[h->n] = token;
        h->counts[h->n] = 0;
        h->place[token] = (int32_t)++h->n;
    }
    h->counts[h->place[token] - 1]++;
    return OXI_OK;
}
