/* Memory for weights, caches and scratch: zeroed, aligned for the widest register, in huge pages where they help. */
#ifndef OXI_MEMORY_H
#define OXI_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define OXI_ALIGN 64 /* a cache line, and the widest register */

/* `bytes` zeroed bytes aligned to OXI_ALIGN; NULL when the system has none left. 0 bytes give a valid pointer. From
 * 2 MiB on the pages come straight from the system, are backed by huge pages where it has them, and cost nothing until
 * they are touched. */
void *oxi_alloc(size_t bytes);
/* The same for count * size, NULL when the product overflows. */
void *oxi_alloc_array(size_t count, size_t size);
/* Give back what oxi_alloc gave; accepts NULL. */
void oxi_free(void *memory);

/* a + b and a * b into *sum / *product; false when they do not fit. */
static inline bool oxi_size_add(size_t a, size_t b, size_t *sum) { return !__builtin_add_overflow(a, b, sum); }
static inline bool oxi_size_mul(size_t a, size_t b, size_t *product) { return !__builtin_mul_overflow(a, b, product); }

#endif
