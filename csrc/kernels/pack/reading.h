/* How the kernels for few tokens read packed weights. It decides their speed on a processor, never a bit of a result. One or
 * two tokens and several may want different ways: with several, a line of weights is computed on for much longer.
 *
 * A processor prefetches ahead of a reader within a page, and starts afresh at the next page. Some have few misses under
 * way for each run of addresses, and read more if several panels take turns (Ice Lake: a quarter more). Others read one
 * run fastest, and lose by every prefetch into their first cache (Zen 4: turns halve the rate of one token). Several tokens
 * are faster there in turns, with prefetch into the second cache (by a quarter to a half). Where unpacking in registers
 * takes nothing from the multiplications, fewer tokens at a time leave all sums in registers (Zen 4: a tenth faster).
 */
#ifndef OXI_READING_H
#define OXI_READING_H

#include <stdbool.h>
#include <stdint.h>

typedef struct oxi_reading {
    const char *name;
    uint8_t panels;   /* that take turns */
    bool short_turns; /* of about 512 bytes of codes; otherwise a turn is a chunk */
    uint8_t cache;    /* that codes are prefetched into: 1 or 2; 0: they are left to the processor */
    uint16_t ahead;   /* bytes from what is read to what is prefetched; 0: a chunk */
    uint8_t tokens;   /* multiplied at a time; up to twice as many are unpacked in registers. 0: as the isa says */
} oxi_reading;

#define OXI_MAX_TURNS 8 /* most panels that take turns */
#define OXI_SEVERAL 3   /* fewest tokens that are several */
#define OXI_READING_TOKENS 6 /* largest `tokens` of a way */

/* The choices. The first is the default where nothing is known. */
enum { OXI_READING_TURNS = 0, OXI_READING_ONE_RUN = 4, OXI_READING_TURNS_OF_SIX = 7, OXI_READING_COUNT };
extern const oxi_reading oxi_readings[OXI_READING_COUNT];

#endif
