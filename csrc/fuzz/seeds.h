/* Valid GGUF files, built in memory, for the driver to damage. */
#ifndef OXI_FUZZ_SEEDS_H
#define OXI_FUZZ_SEEDS_H

#include <stddef.h>
#include <stdint.h>

typedef struct bytes {
    uint8_t *data;
    size_t n, capacity;
} bytes;

void bytes_append(bytes *b, const void *data, size_t n);

#define N_SEEDS 4
/* Seed `index`: 0 every value type and three tensors, 1 a vocabulary, 2 many tensors, 3 another alignment
 * and the keys of a shard. The caller frees `data`. */
bytes seed_file(int index);

#endif
