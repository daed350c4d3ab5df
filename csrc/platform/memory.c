#include "platform/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

#define HUGE_PAGE ((size_t)2 << 20)

/* Stored in the OXI_ALIGN bytes before the caller's pointer. */
typedef struct header {
    void *base;
    size_t mapped; /* 0: from malloc */
} header;

_Static_assert(sizeof(header) <= OXI_ALIGN, "the header must leave the payload aligned");

static void *finish(void *base, size_t mapped)
{
    *(header *)base = (header){base, mapped};
    return (char *)base + OXI_ALIGN;
}

/* Map memory that starts on a huge-page boundary, so that huge pages can back it from the first byte. */
static void *map_huge(size_t total)
{
    size_t span;
    if (!oxi_size_add(total, HUGE_PAGE, &span)) return NULL;
    char *raw = mmap(NULL, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED) return NULL;
    char *base = (char *)(((uintptr_t)raw + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    if (base > raw) munmap(raw, (size_t)(base - raw));
    if (raw + span > base + total) munmap(base + total, (size_t)(raw + span - (base + total)));
#ifdef MADV_HUGEPAGE
    (void)madvise(base, total, MADV_HUGEPAGE); /* a hint: small pages work too */
#endif
    return base;
}

void *oxi_alloc(size_t bytes)
{
    size_t total;
    if (!oxi_size_add(bytes, OXI_ALIGN, &total)) return NULL;
    if (total < HUGE_PAGE) {
        total = (total + OXI_ALIGN - 1) & ~(size_t)(OXI_ALIGN - 1);
        void *base = aligned_alloc(OXI_ALIGN, total);
        if (!base) return NULL;
        memset(base, 0, total);
        return finish(base, 0);
    }
    if (total > SIZE_MAX - HUGE_PAGE) return NULL;
    total = (total + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    void *base = map_huge(total);
    return base ? finish(base, total) : NULL;
}

void *oxi_alloc_array(size_t count, size_t size)
{
    size_t bytes;
    return oxi_size_mul(count, size, &bytes) ? oxi_alloc(bytes) : NULL;
}

void oxi_free(void *memory)
{
    if (!memory) return;
    const header h = *(header *)((char *)memory - OXI_ALIGN);
    if (h.mapped) munmap(h.base, h.mapped);
    else free(h.base);
}
