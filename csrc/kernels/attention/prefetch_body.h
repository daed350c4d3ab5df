/* What attention prefetches while it computes.
 *
 * A head's pages are far apart, so the hardware prefetcher does not find the next one. Each software prefetch occupies one
 * of the few line-fill buffers until memory answers, and loads that miss the L1 cache wait for a buffer too. So prefetches
 * should be spread evenly and alternate between several pages. The hardware then sees that many streams of addresses and
 * prefetches ahead of them into the L2 cache, which has more buffers.
 *
 * Few rows compute about as fast as memory is read. They prefetch three of four pages of a block's values while they
 * read its keys, the rest during the softmax, and the next keys while they read values. Many rows compute for longer
 * than they read: they prefetch the next pages of what they are reading. Included by attend_body.h.
 */

static void fetch(const uint8_t *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i);
}

/* Four streams of addresses to prefetch. */
typedef struct four_places {
    const uint8_t *at[4];
    bool any;
} four_places;

static const four_places nowhere;

/* The four places after `done` bytes have been read: each has advanced by a quarter of that. Kept in the caller's
 * registers. */
INLINE four_places further(const four_places *f, int64_t done)
{
    four_places to = *f;
    if (!f->any) return to;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) to.at[i] += done / 4;
    return to;
}

/* Prefetch what belongs to the bytes from `done` on, if that starts another line. */
INLINE void fetch_beside(const four_places *f, int64_t done)
{
    if (!f->any || done / 4 % 64) return;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) __builtin_prefetch(f->at[i] + done / 4);
}

/* Pages to prefetch from byte `at` to before `end`, one line of each page in turn. */
typedef struct page_list {
    const uint8_t *const *pages; /* [n] */
    int32_t n, turn;
    size_t at, end;
} page_list;

INLINE void fetch_lines(page_list *f, int32_t n_lines)
{
    for (; n_lines > 0 && f->at < f->end; n_lines--) {
        __builtin_prefetch(f->pages[f->turn] + f->at);
        if (++f->turn < f->n) continue;
        f->turn = 0;
        f->at += 64;
    }
}

/* How many of n_pages pages of values are prefetched with the keys. */
static int32_t fetched_with_keys(int32_t n_pages) { return (3 * n_pages + 3) / 4; }

/* The keys after those of the block at `first`: of the next block, or of the next call. */
static page_list keys_after(const oxi_attend *a, int32_t first)
{
    if (a->n_rows > TILE_ROWS) return (page_list){0};
    const int32_t next = first + OXI_ATTEND_KEYS, left = a->n_keys - next;
    if (left <= 0) return (page_list){.pages = a->next_keys, .n = a->n_next};
    const int32_t n = left < OXI_ATTEND_KEYS ? left : OXI_ATTEND_KEYS;
    return (page_list){.pages = a->keys + next / OXI_PAGE_TOKENS, .n = (n + OXI_PAGE_TOKENS - 1) / OXI_PAGE_TOKENS};
}

/* Which of n parts is prefetched beside step `step` of n_steps, or -1. */
static int32_t part_beside(int32_t n, int32_t step, int32_t n_steps)
{
    const int32_t part = step * n / n_steps;
    return (step + 1) * n / n_steps > part ? part : -1;
}

/* What few rows prefetch of n pages, four at a time, beside a step that reads two: half of each page, whose codes are
 * behind `head` bytes of scales. */
static four_places halves_beside(const uint8_t *const *pages, int32_t n, int32_t step, int32_t n_steps, size_t head,
                                 size_t bytes)
{
    const int32_t part = part_beside((n + 3) / 4 * 2, step, n_steps), first = part / 2 * 4, half = part % 2;
    if (part < 0) return nowhere;
    four_places f = {.any = true};
    for (int32_t i = 0; i < 4; i++) {
        const uint8_t *page = pages[first + i < n ? first + i : n - 1];
        if (half == 0) fetch(page, head);
        f.at[i] = page + head + (size_t)half * (bytes - head) / 2;
    }
    return f;
}

/* What many rows prefetch beside two pages: the codes of pages p and p + 1 of n. */
static four_places pages_beside(const uint8_t *const *pages, int32_t n, int32_t p, size_t head, size_t bytes)
{
    if (p >= n) return nowhere;
    four_places f = {.any = true};
    for (int32_t i = 0; i < 4; i++)
        f.at[i] = pages[i % 2 && p + 1 < n ? p + 1 : p] + head + (size_t)(i / 2) * (bytes - head) / 2;
    return f;
}
