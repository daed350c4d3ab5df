/* What attention fetches while it computes.
 *
 * Pages of a head lie far apart, so the processor does not guess the next one. Prefetches of our own hold one of the few
 * places for lines under way until memory answers, and loads that miss the first cache wait for a place too: they should be
 * spread evenly, and go to several pages in turns. Then the processor sees as many runs of addresses and fetches ahead of
 * us, into the second cache, where it has more places.
 *
 * Few rows compute about as fast as memory is read. They fetch three of four pages of a block's values while they read its
 * keys, the rest during the softmax, and the keys that come next while they read values. Many rows compute for longer than
 * they read: they fetch the next pages of what they are reading. Included by vec_attend.h.
 */

static void fetch(const uint8_t *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i);
}

/* Four runs of addresses to fetch. */
typedef struct four_places {
    const uint8_t *at[4];
    bool any;
} four_places;

static const four_places nowhere;

/* The places when `done` bytes are read, of each place a quarter as many; in the caller's registers. */
INLINE four_places further(const four_places *f, int64_t done)
{
    four_places to = *f;
    if (!f->any) return to;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) to.at[i] += done / 4;
    return to;
}

/* What goes with the bytes from `done` on, if that is another line. */
INLINE void fetch_beside(const four_places *f, int64_t done)
{
    if (!f->any || done / 4 % 64) return;
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) __builtin_prefetch(f->at[i] + done / 4);
}

/* Pages to fetch from byte `at` to before `end`, a line of each in turns. */
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

/* How many pages of values of n_pages are fetched with the keys. */
static int32_t fetched_with_keys(int32_t n_pages) { return (3 * n_pages + 3) / 4; }

/* The keys that follow those of the block at `first`: of the next block, or of the next call. */
static page_list keys_after(const oxi_attend *a, int32_t first)
{
    if (a->n_rows > TILE_ROWS) return (page_list){0};
    const int32_t next = first + OXI_ATTEND_KEYS, left = a->n_keys - next;
    if (left <= 0) return (page_list){.pages = a->next_keys, .n = a->n_next};
    const int32_t n = left < OXI_ATTEND_KEYS ? left : OXI_ATTEND_KEYS;
    return (page_list){.pages = a->keys + next / OXI_PAGE_TOKENS, .n = (n + OXI_PAGE_TOKENS - 1) / OXI_PAGE_TOKENS};
}

/* Which of n parts is fetched beside step `step` of n_steps, or -1. */
static int32_t part_beside(int32_t n, int32_t step, int32_t n_steps)
{
    const int32_t part = step * n / n_steps;
    return (step + 1) * n / n_steps > part ? part : -1;
}

/* What few rows fetch of n pages, four at a time, beside a step that reads two: half of each, its codes behind `head` bytes
 * of scales. */
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

/* What many rows fetch beside two pages: the codes of pages p and p + 1 of n. */
static four_places pages_beside(const uint8_t *const *pages, int32_t n, int32_t p, size_t head, size_t bytes)
{
    if (p >= n) return nowhere;
    four_places f = {.any = true};
    for (int32_t i = 0; i < 4; i++)
        f.at[i] = pages[i % 2 && p + 1 < n ? p + 1 : p] + head + (size_t)(i / 2) * (bytes - head) / 2;
    return f;
}
