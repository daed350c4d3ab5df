/* How few rows of attention prefetch keys and values that are stored as codes. It decides their speed on a processor,
 * never a bit of a result. prefetch_body.h carries it out.
 *
 * Some processors have few misses under way for each run of addresses, and want several pages fetched in turns into
 * their first cache (Ice Lake). Others want one page after the other, each line in its order, and the second cache
 * (Zen 4).
 */
#ifndef OXI_FETCHING_H
#define OXI_FETCHING_H

#include <stdbool.h>
#include <stdint.h>

typedef struct oxi_fetching {
    bool one_run;        /* pages one after the other into the second cache; else four in turns into the first */
    /* Of one run: */
    uint8_t ahead;       /* pages of keys that are there already when a block of keys begins */
    uint8_t with_keys;   /* lines that are prefetched beside four lines of keys: three or four */
    uint8_t with_values; /* and beside four lines of values; the softmax prefetches what else the block needs */
} oxi_fetching;

/* The choices. The first, all zero, is the default where nothing is known. */
enum { OXI_FETCHING_TURNS = 0, OXI_FETCHING_ONE_RUN = 1, OXI_FETCHING_COUNT = 2 };
extern const oxi_fetching oxi_fetchings[OXI_FETCHING_COUNT];

#endif
