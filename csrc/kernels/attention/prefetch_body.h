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
 *
 * That suits processors that gain from several runs of addresses. For the others, few rows that read codes prefetch one
 * run (fetching.h): keys, values and the next keys in the order in which they are read, a fixed number of pages ahead.
 */

static void fetch(const uint8_t *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i);
}

static void fetch_l2(const uint8_t *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, 2);
}

/* Four streams of addresses to prefetch; or one run: first_bytes from the first place on, then from the second. */
typedef struct four_places {
    const uint8_t *at[4];
    bool any, one_run;
    int64_t first_bytes;
} four_places;

static const four_places nowhere;

/* The places after `done` bytes have been read: each of four has advanced by a quarter of that, a run by all. Kept in
 * the caller's registers. */
INLINE four_places further(const four_places *f, int64_t done)
{
    four_places to = *f;
    if (!f->any) return to;
    if (f->one_run) {
        to.at[0] = done < f->first_bytes ? f->at[0] + done : f->at[1] + (done - f->first_bytes);
        return to;
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) to.at[i] += done / 4;
    return to;
}

/* Prefetch what belongs to the 256 bytes from `done` on, if they start there. */
INLINE void fetch_beside(const four_places *f, int64_t done)
{
    if (!f->any || done / 4 % 64) return;
    if (f->one_run) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) __builtin_prefetch(f->at[0] + done + 64 * i, 0, 2);
        return;
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) __builtin_prefetch(f->at[i] + done / 4);
}

/* Pages to prefetch from byte `at` to before `end`: one line of each page in turn, or one page after the other. */
typedef struct page_list {
    const uint8_t *const *pages; /* [n] */
    int32_t n, turn;
    size_t at, end;
    bool one_run;
} page_list;

INLINE void fetch_lines(page_list *f, int32_t n_lines)
{
    if (f->one_run) {
        for (; n_lines > 0 && f->turn < f->n; n_lines--) {
            __builtin_prefetch(f->pages[f->turn] + f->at, 0, 2);
            f->at += 64;
            if (f->at < f->end) continue;
            f->at = 0;
            f->turn++;
        }
        return;
    }
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

/* Pages of keys or values; their codes are behind `head` bytes of scales. */
typedef struct page_span {
    const uint8_t *const *pages; /* [n] */
    int32_t n;
    size_t head, bytes;
} page_span;

/* What few rows prefetch of one run of addresses beside two pages: pages p and p + 1 of `here` or, behind its end, of
 * `after`. */
static four_places run_beside(page_span here, page_span after, int32_t p)
{
    if (p >= here.n) {
        p -= here.n;
        here = after;
    }
    if (p >= here.n) return nowhere;
    const uint8_t *const one = here.pages[p], *const two = here.pages[p + 1 < here.n ? p + 1 : p];
    fetch_l2(one, here.head);
    fetch_l2(two, here.head);
    return (four_places){.at = {one + here.head, two + here.head}, .any = true, .one_run = true,
                         .first_bytes = (int64_t)(here.bytes - here.head)};
}
