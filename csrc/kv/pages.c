#include "kv/pages.h"

#include "platform/memory.h"

#include <stdlib.h>

bool oxi_pages_open(oxi_pages *p, int32_t n, size_t page_bytes)
{
    *p = (oxi_pages){.page_bytes = page_bytes, .n = n, .n_free = n};
    p->references = calloc((size_t)n, sizeof *p->references);
    p->free = calloc((size_t)n, sizeof *p->free);
    p->memory = oxi_alloc_array((size_t)n, page_bytes);
    if (!p->references || !p->free || !p->memory) return false;
    /* Low numbers first, so that memory that is never needed is never touched. */
    for (int32_t i = 0; i < n; i++) p->free[i] = n - 1 - i;
    return true;
}

void oxi_pages_close(oxi_pages *p)
{
    oxi_free(p->memory);
    free(p->references);
    free(p->free);
    *p = (oxi_pages){0};
}
