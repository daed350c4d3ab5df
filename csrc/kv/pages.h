/* A pool of pages of one size that are counted by who holds them: keys and values of some positions, or the recurrent
 * states of a sequence. A page is free when nobody holds it. */
#ifndef OXI_PAGES_H
#define OXI_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct oxi_pages {
    uint8_t *memory;
    size_t page_bytes;
    int32_t n, n_free;
    int32_t *references; /* [n], 0: free */
    int32_t *free;       /* a stack */
} oxi_pages;

/* False if there is not enough memory; close it in any case. */
bool oxi_pages_open(oxi_pages *p, int32_t n, size_t page_bytes);
void oxi_pages_close(oxi_pages *p);

static inline uint8_t *oxi_page_at(const oxi_pages *p, int32_t page) { return p->memory + (size_t)page * p->page_bytes; }

/* A free page, which there must be, for one holder. It still has its old content. */
static inline int32_t oxi_page_take(oxi_pages *p)
{
    const int32_t page = p->free[--p->n_free];
    p->references[page] = 1;
    return page;
}

static inline int32_t oxi_page_share(oxi_pages *p, int32_t page)
{
    p->references[page]++;
    return page;
}

static inline void oxi_page_drop(oxi_pages *p, int32_t page)
{
    if (--p->references[page] == 0) p->free[p->n_free++] = page;
}

#endif
