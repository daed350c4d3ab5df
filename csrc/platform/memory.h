/* Memory for weights, caches and scratch: zeroed, aligned for the widest register, in huge pages where they help. */
#ifndef OXI_MEMORY_H
#define OXI_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define OXI_ALIGN 64 /* a cache line, and the widest register */

/* `bytes` zeroed bytes aligned to OXI_ALIGN; NULL when the system is out of memory. 0 bytes give a valid pointer. From 2
 * MiB on, pages come straight from the system, are huge pages where it has them, and cost nothing until touched. */
void *oxi_alloc(size_t bytes);
/* The same for count * size; NULL when the product overflows. */
void *oxi_alloc_array(size_t count, size_t size);
/* Free memory that oxi_alloc returned; accepts NULL. */
void oxi_free(void *memory);

/* Store a + b or a * b in *sum or *product; false when the result does not fit. */
static inline bool oxi_size_add(size_t a, size_t b, size_t *sum) { return !__builtin_add_overflow(a, b, sum); }
static inline bool oxi_size_mul(size_t a, size_t b, size_t *product) { return !__builtin_mul_overflow(a, b, product); }

#endif
